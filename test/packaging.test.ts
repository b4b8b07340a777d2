import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { SECRET_VARIABLES, VARIABLES } from '../src/config/variables.js';
import { PINNED_TEMPORAL_VERSION } from '../src/temporal/version.js';
import { REPOSITORY_ROOT } from './support/imports.js';

// Docker is not at hand where tests run: what can be known of the images without it is checked here.

const read = (name: string): string => readFileSync(join(REPOSITORY_ROOT, name), 'utf8');
const packageJson = z
  .object({
    name: z.string(),
    version: z.string(),
    bin: z.record(z.string(), z.string()),
    engines: z.record(z.string(), z.string()),
    license: z.string(),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    overrides: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')));
const lockfile = z
  .object({
    packages: z.record(
      z.string(),
      z.looseObject({
        version: z.string().optional(),
        resolved: z.string().optional(),
        integrity: z.string().optional(),
      }),
    ),
  })
  .parse(JSON.parse(read('package-lock.json')));

const EXACT_VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const installed = (name: string): readonly string[] =>
  Object.entries(lockfile.packages)
    .filter(([path]) => path === `node_modules/${name}` || path.endsWith(`/node_modules/${name}`))
    .map(([, { version }]) => version ?? '');

describe('package.json', () => {
  test('has the name, the command, the licence and the Node versions that are promised', () => {
    expect(packageJson).toMatchObject({
      name: 'tunesmith',
      bin: { tunesmith: 'dist/src/main.js' },
      engines: { node: '>=20.19' },
      license: 'Apache-2.0',
    });
    expect(read('LICENSE')).toContain('Apache License');
    expect(read('src/main.ts')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('names every version exactly', () => {
    const versions = { ...packageJson.dependencies, ...packageJson.devDependencies, ...packageJson.overrides };
    expect(Object.entries(versions).filter(([, version]) => !EXACT_VERSION.test(version))).toEqual([]);
  });

  test('has one version of everything of Temporal, and one protobufjs 8 beside what gRPC brings', () => {
    const ofTemporal = Object.entries(lockfile.packages).filter(([path]) =>
      /(^|\/)node_modules\/@temporalio\/[^/]+$/.test(path),
    );
    expect(ofTemporal.length).toBeGreaterThanOrEqual(7);
    expect(new Set(ofTemporal.map(([, { version }]) => version))).toEqual(
      new Set([packageJson.dependencies['@temporalio/worker']]),
    );
    expect(installed('protobufjs').filter((version) => version.startsWith('8.'))).toEqual([
      packageJson.dependencies['protobufjs'],
    ]);
  });

  test('runs on the Node version of .nvmrc, which the image has too', () => {
    const major = read('.nvmrc').trim().replace(/^v/, '').split('.')[0];
    expect(read('Dockerfile')).toContain(`FROM node:${major ?? ''}.`);
  });
});

describe('package-lock.json', () => {
  test('names no registry and has a checksum for every package', () => {
    const packages = Object.entries(lockfile.packages).filter(([path]) => path !== '');
    expect(packages.length).toBeGreaterThan(100);
    expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    expect(packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
    expect(read('package-lock.json')).not.toMatch(/https?:\/\/[^"]*\.tgz/);
  });

  test.each(['@swc/core', 'unrs-resolver'])('has the package of every platform for %s', (name) => {
    const { optionalDependencies } = z
      .object({ optionalDependencies: z.record(z.string(), z.string()) })
      .parse(lockfile.packages[`node_modules/${name}`]);
    expect(Object.keys(optionalDependencies).length).toBeGreaterThan(8);
    for (const [platform, version] of Object.entries(optionalDependencies)) {
      expect(lockfile.packages[`node_modules/${platform}`]?.version, platform).toBe(version);
    }
  });

  test('agrees with package.json', () => {
    for (const [name, version] of Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies })) {
      expect(lockfile.packages[`node_modules/${name}`]?.version, name).toBe(version);
    }
  });
});

describe('the Dockerfile', () => {
  const instructions = read('Dockerfile')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [keyword = '', ...rest] = line.trim().split(/\s+/);
      return { keyword, rest };
    });
  const ofKind = (keyword: string) => instructions.filter((instruction) => instruction.keyword === keyword);
  const last = instructions.slice(instructions.findLastIndex(({ keyword }) => keyword === 'FROM'));

  test('builds in stages from one image with glibc and an exact tag', () => {
    const images = ofKind('FROM').map(({ rest }) => rest[0]);
    expect(images.length).toBeGreaterThanOrEqual(3);
    expect(new Set(images).size).toBe(1);
    expect(images[0]).toMatch(/^node:24\.\d+\.\d+-bookworm-slim$/);
  });

  test('copies only what exists, from stages that exist, and what .dockerignore lets through', () => {
    const stages = ofKind('FROM').map(({ rest }) => rest[2]);
    const allowed =
      read('.dockerignore')
        .match(/^!.+$/gm)
        ?.map((line) => line.slice(1)) ?? [];
    for (const { rest } of ofKind('COPY')) {
      const from = rest.find((word) => word.startsWith('--from='))?.slice('--from='.length);
      if (from !== undefined) {
        expect(stages).toContain(from);
        continue;
      }
      for (const source of rest.slice(0, -1)) {
        expect(existsSync(join(REPOSITORY_ROOT, source)), source).toBe(true);
        expect(allowed, source).toContain(source);
      }
    }
  });

  test('copies everything that the build reads', () => {
    const copied = ofKind('COPY').flatMap(({ rest }) => rest.slice(0, -1));
    const built = z.object({ include: z.array(z.string()) }).parse(JSON.parse(read('tsconfig.build.json'))).include;
    expect(copied).toEqual(
      expect.arrayContaining([...built, 'scripts/build.mjs', 'tsconfig.json', 'tsconfig.build.json']),
    );
  });

  test('installs by the lockfile: everything to build, and without development packages to run', () => {
    const runs = ofKind('RUN').map(({ rest }) => rest.join(' '));
    expect(runs.some((run) => run === 'npm ci')).toBe(true);
    expect(runs.some((run) => run.startsWith('npm ci --omit=dev'))).toBe(true);
    expect(runs.filter((run) => /npm (i|install)\b/.test(run))).toEqual([]);
  });

  test("removes other platforms' native cores by the names that Temporal's package gives them", () => {
    const dependencies = ofKind('RUN')
      .map(({ rest }) => rest.join(' '))
      .find((run) => run.includes('core-bridge'));
    expect(dependencies).toContain('! -name "$(uname -m)-unknown-linux-gnu" -exec rm -rf {} +');
    const releases = readdirSync(join(REPOSITORY_ROOT, 'node_modules/@temporalio/core-bridge/releases'));
    expect(releases).toEqual(expect.arrayContaining(['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu']));
  });

  test('ends as an ordinary user, with a health check and our command', () => {
    expect(last.filter(({ keyword }) => keyword === 'USER').map(({ rest }) => rest)).toEqual([['node']]);
    expect(last.find(({ keyword }) => keyword === 'HEALTHCHECK')?.rest.join(' ')).toContain('/healthz');
    expect(last.find(({ keyword }) => keyword === 'ENTRYPOINT')?.rest).toEqual(['["tunesmith"]']);
    const afterUser = last.slice(last.findIndex(({ keyword }) => keyword === 'USER') + 1);
    expect(afterUser.filter(({ keyword }) => keyword === 'RUN' || keyword === 'COPY')).toEqual([]);
  });

  test('sets no variable that the configuration does not know', () => {
    const names = ofKind('ENV').flatMap(({ rest }) => rest.map((pair) => pair.split('=')[0] ?? ''));
    expect(names.filter((name) => name !== 'NODE_ENV' && !isKnown(name))).toEqual([]);
  });
});

const isKnown = (name: string): boolean =>
  name in VARIABLES || name in SECRET_VARIABLES || name.startsWith('TEMPORAL_');

const duration = z.string().regex(/^(\d+(us|ms|s|m|h))+$/);
const command = z.union([z.string(), z.array(z.string())]);
/** The part of the Compose specification that is used here, strict: a misspelt key is an error. */
const composeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/),
  'x-tunesmith': z.unknown(),
  'x-environment': z.unknown(),
  services: z.record(
    z.string().regex(/^[a-zA-Z0-9._-]+$/),
    z.strictObject({
      image: z.string(),
      build: z.strictObject({ context: z.string() }).optional(),
      init: z.boolean().optional(),
      restart: z
        .string()
        .regex(/^(no|always|unless-stopped|on-failure(:\d+)?)$/)
        .optional(),
      entrypoint: command.optional(),
      command: command.optional(),
      // Numbers and booleans of YAML become other text than was written: all values are strings.
      environment: z.record(z.string(), z.string()).optional(),
      ports: z.array(z.string().regex(/^127\.0\.0\.1:(\d+|\$\{PORT:-\d+\}):\d+$/)).optional(),
      volumes: z.array(z.string()).optional(),
      configs: z.array(z.strictObject({ source: z.string(), target: z.string().startsWith('/') })).optional(),
      stop_grace_period: duration.optional(),
      healthcheck: z
        .union([
          z.strictObject({ disable: z.literal(true) }),
          z.strictObject({
            test: z.array(z.string()).refine(([kind]) => kind === 'CMD' || kind === 'CMD-SHELL'),
            interval: duration,
            timeout: duration,
            start_period: duration,
            retries: z.int().positive(),
          }),
        ])
        .optional(),
      depends_on: z
        .record(
          z.string(),
          z.strictObject({
            condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']),
          }),
        )
        .optional(),
    }),
  ),
  configs: z.record(z.string(), z.strictObject({ content: z.string() })),
  volumes: z.record(z.string(), z.null()),
});

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml');
  const compose = composeSchema.parse(parse(text, { merge: true }));
  const services = Object.entries(compose.services);
  const service = (name: string) => compose.services[name]!;
  const ours = services.filter(([, { image }]) => image.startsWith('tunesmith:'));

  test('has every part of an installation', () => {
    expect(Object.keys(compose.services).sort()).toEqual(
      [
        'emulators',
        'gateway',
        'postgres',
        'temporal',
        'temporal-namespace',
        'temporal-schema',
        'temporal-ui',
        'worker',
      ].sort(),
    );
    expect(ours.map(([name, { command: words }]) => [name, words?.[0]])).toEqual([
      ['gateway', 'gateway'],
      ['worker', 'worker'],
      ['emulators', 'emulators'],
    ]);
  });

  test('pins every image by an exact tag and uses none that is deprecated', () => {
    for (const [name, { image }] of services) {
      expect(image, name).toMatch(/^[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$/);
      expect(image, name).not.toMatch(/auto-setup|docker-compose|tctl/);
    }
    for (const [, { image }] of ours) expect(image).toBe(`tunesmith:${packageJson.version}`);
  });

  test("runs the Temporal server of the pinned command line, with that version's tools", () => {
    const source = read('src/temporal/version.ts');
    const serverVersion = /its server is (\d+\.\d+\.\d+)/.exec(source)?.[1] ?? '';
    expect(read('tools/temporal/go.mod')).toContain(`github.com/temporalio/cli v${PINNED_TEMPORAL_VERSION}`);
    expect(read('tools/temporal/go.mod')).toContain(`go.temporal.io/server v${serverVersion}`);
    expect(service('temporal').image).toBe(`temporalio/server:${serverVersion}`);
    expect(service('temporal-schema').image).toBe(`temporalio/admin-tools:${serverVersion}`);
    expect(service('temporal-namespace').image).toBe(`temporalio/admin-tools:${serverVersion}`);
  });

  test('waits for services that exist, and for a kind of readiness that they have', () => {
    for (const [name, { depends_on: dependencies }] of services) {
      for (const [other, { condition }] of Object.entries(dependencies ?? {})) {
        const target = compose.services[other];
        expect(target, `${name} waits for ${other}`).toBeDefined();
        if (condition === 'service_healthy') expect(target?.healthcheck, other).toHaveProperty('test');
        // A job that is started again after it ended well would never be complete.
        if (condition === 'service_completed_successfully') expect(target?.restart, other).toMatch(/^on-failure/);
      }
    }
  });

  test('starts in an order without circles', () => {
    const depth = (name: string, path: readonly string[]): number => {
      expect(path).not.toContain(name);
      const before = Object.keys(compose.services[name]?.depends_on ?? {});
      return 1 + Math.max(0, ...before.map((other) => depth(other, [...path, name])));
    };
    expect(depth('gateway', [])).toBe(5);
    expect(depth('worker', [])).toBe(5);
  });

  test('declares every volume and config that it mounts, and mounts every one that it declares', () => {
    const mounted = services.flatMap(([, { volumes }]) => volumes ?? []).map((volume) => volume.split(':')[0]);
    expect([...new Set(mounted)].sort()).toEqual(Object.keys(compose.volumes).sort());
    const configs = services.flatMap(([, each]) => each.configs ?? []).map(({ source }) => source);
    expect(configs).toEqual(Object.keys(compose.configs));
  });

  test('has PostgreSQL 18 keep its data where that image expects the volume', () => {
    expect(service('postgres').image).toMatch(/^postgres:18\./);
    expect(service('postgres').volumes).toEqual(['postgres:/var/lib/postgresql']);
  });

  test('gives our services only variables that the configuration knows, and all that they need', () => {
    const required = ['DATABASE_URL', 'TEMPORAL_ADDRESS', 'FILE_STORE', 'TUNESMITH_MASTER_KEY'];
    for (const [name, { environment }] of ours) {
      const names = Object.keys(environment ?? {});
      expect(
        names.filter((variable) => !isKnown(variable)),
        name,
      ).toEqual([]);
      if (name !== 'emulators') expect(names).toEqual(expect.arrayContaining(required));
    }
  });

  test('can be given every variable that applies, with the default that the configuration has', () => {
    const ofStart = ['TUNESMITH_HOME', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT', 'EMULATORS_PORT'];
    const given = new Set(ours.flatMap(([, { environment }]) => Object.keys(environment ?? {})));
    const missing = Object.keys({ ...VARIABLES, ...SECRET_VARIABLES }).filter((name) => !given.has(name));
    expect(missing.sort()).toEqual(ofStart.sort());
    for (const [, name = '', value = ''] of text.matchAll(/\$\{([A-Z0-9_]+):-([^}]*)\}/g)) {
      const variable = Object.entries(VARIABLES).find(([known]) => known === name)?.[1];
      // An empty variable is an absent one: what has no default is passed on as empty.
      const hasDefault = variable?.schema.safeParse(undefined).data !== undefined;
      expect(value, name).toBe(hasDefault ? variable.default.split(' ')[0] : '');
    }
  });

  test('shares one file store, and the same settings, between gateway and worker', () => {
    const { HOST, PORT, TUNESMITH_API_KEY, ...shared } = service('gateway').environment ?? {};
    expect([HOST, PORT, TUNESMITH_API_KEY]).not.toContain(undefined);
    expect(service('worker').environment).toEqual(shared);
    expect(service('worker').volumes).toEqual(service('gateway').volumes);
  });

  test('has no secret in it: each is required from outside, and .env.example names it', () => {
    const required = [...new Set([...text.matchAll(/\$\{([A-Z_]+):\?\}/g)].map(([, name]) => name))].sort();
    expect(required).toEqual(['POSTGRES_PASSWORD', 'TUNESMITH_API_KEY', 'TUNESMITH_MASTER_KEY']);
    const example = read('.env.example');
    for (const name of required) expect(example).toMatch(new RegExp(`^${name ?? ''}=\\s`, 'm'));
    const others = [...example.matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name ?? '');
    for (const name of others) expect(text, name).toContain(`\${${name}:-`);
    expect(others.filter((name) => !isKnown(name))).toEqual([]);
  });

  test('publishes no port beyond this machine, and Temporal to nobody', () => {
    expect(service('temporal').ports).toBeUndefined();
    expect(service('postgres').ports).toBeUndefined();
  });
});
