import { at, isFields, refuseUnknownKeys, type Fields, type RowErrors } from './row-errors.js';

const TOOL_KEYS: ReadonlySet<string> = new Set(['type', 'function']);
const DEFINITION_KEYS: ReadonlySet<string> = new Set(['name', 'description', 'parameters', 'strict']);
const LEGACY_KEYS: ReadonlySet<string> = new Set(['name', 'description', 'parameters']);
const FUNCTION_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Checks `tools`, `parallel_tool_calls` and the older `functions` of a row, where they are there. */
export function checkTools(row: Fields, base: string, errors: RowErrors): void {
  const { tools, functions } = row;
  const parallel = row['parallel_tool_calls'];
  if (tools !== undefined) {
    forEachEntry(tools, at(base, 'tools'), errors, (tool, path) => {
      refuseUnknownKeys(tool, TOOL_KEYS, path, errors);
      if (tool['type'] !== 'function') errors(at(path, 'type'), tool['type'], '"function"');
      checkDefinition(tool['function'], at(path, 'function'), DEFINITION_KEYS, errors);
    });
  }
  if (functions !== undefined) {
    forEachEntry(functions, at(base, 'functions'), errors, (definition, path) => {
      checkDefinition(definition, path, LEGACY_KEYS, errors);
    });
  }
  if (parallel !== undefined && typeof parallel !== 'boolean') {
    errors(at(base, 'parallel_tool_calls'), parallel, 'true or false');
  }
}

function forEachEntry(
  list: unknown,
  base: string,
  errors: RowErrors,
  check: (entry: Fields, path: string) => void,
): void {
  if (!Array.isArray(list)) {
    errors(base, list, 'a list');
    return;
  }
  for (let index = 0; index < list.length; index += 1) {
    const entry: unknown = list[index];
    if (isFields(entry)) check(entry, `${base}[${index}]`);
    else errors(`${base}[${index}]`, entry, 'an object');
  }
}

function checkDefinition(definition: unknown, base: string, keys: ReadonlySet<string>, errors: RowErrors): void {
  if (!isFields(definition)) {
    errors(base, definition, 'an object with name and parameters');
    return;
  }
  refuseUnknownKeys(definition, keys, base, errors);
  const { name, description, parameters, strict } = definition;
  if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) {
    errors(at(base, 'name'), name, '1 to 64 letters, digits, underscores or dashes');
  }
  if (description !== undefined && typeof description !== 'string') {
    errors(at(base, 'description'), description, 'a string');
  }
  if (parameters !== undefined && !isFields(parameters)) errors(at(base, 'parameters'), parameters, 'a JSON schema');
  if (strict !== undefined && strict !== null && typeof strict !== 'boolean') {
    errors(at(base, 'strict'), strict, 'true, false or null');
  }
}
