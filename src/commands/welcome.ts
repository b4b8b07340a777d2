import { SANDBOX_SLUG } from './sandbox.js';
import type { Ready } from './home.js';

/** What a start prints when everything answers. The key is shown once, at the first start. */
export function welcome(ready: Ready, options: { readonly home: string; readonly shownKey: string | null }): string {
  const key = options.shownKey ?? `$(cat ${options.home}/api-key)`;
  const lines = [
    '',
    `  Gateway          ${ready.url}`,
    ...(options.shownKey === null
      ? [`  Gateway key      in ${options.home}/api-key`]
      : [`  Gateway key      ${options.shownKey}  (shown once; kept in ${options.home}/api-key)`]),
    ...(ready.temporalUiUrl === null ? [] : [`  Temporal Web UI  ${ready.temporalUiUrl}`]),
    `  Emulators        ${ready.emulatorsUrl}  (virtual key: ${SANDBOX_SLUG})`,
    `  Logs             ${options.home}/logs`,
    '',
    '  Try it:',
    '',
    `    curl ${ready.url}/v1/fine_tuning/jobs --header "x-portkey-api-key: ${key}"`,
    '',
    '  Stop with Ctrl-C. What runs goes on at the next start.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}
