import { at, isFields, refuseUnknownKeys, type Fields, type Path, type RowProblems } from './row-errors.js';

const TOOL_KEYS: ReadonlySet<string> = new Set(['type', 'function']);
const DEFINITION_KEYS: ReadonlySet<string> = new Set(['name', 'description', 'parameters', 'strict']);
const LEGACY_KEYS: ReadonlySet<string> = new Set(['name', 'description', 'parameters']);
const FUNCTION_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Checks `tools`, `parallel_tool_calls` and the older `functions` of a row, where they are there. */
export function checkTools(row: Fields, base: Path, problems: RowProblems): void {
  const { tools, functions } = row;
  const parallel = row['parallel_tool_calls'];
  if (tools !== undefined) {
    forEachEntry(tools, at(base, 'tools'), problems, (tool, path) => {
      refuseUnknownKeys(tool, TOOL_KEYS, path, problems);
      if (tool['type'] !== 'function') problems('invalid_tools', at(path, 'type'), tool['type'], '"function"');
      checkDefinition(tool['function'], at(path, 'function'), DEFINITION_KEYS, problems);
    });
  }
  if (functions !== undefined) {
    forEachEntry(functions, at(base, 'functions'), problems, (definition, path) => {
      checkDefinition(definition, path, LEGACY_KEYS, problems);
    });
  }
  if (parallel !== undefined && typeof parallel !== 'boolean') {
    problems('invalid_parallel_tool_calls', at(base, 'parallel_tool_calls'), parallel, 'true or false');
  }
}

function forEachEntry(
  list: unknown,
  base: Path,
  problems: RowProblems,
  check: (entry: Fields, path: Path) => void,
): void {
  if (!Array.isArray(list)) {
    problems('invalid_tools', base, list, 'a list');
    return;
  }
  for (let index = 0; index < list.length; index += 1) {
    const entry: unknown = list[index];
    if (isFields(entry)) check(entry, at(base, index));
    else problems('invalid_tools', at(base, index), entry, 'an object');
  }
}

function checkDefinition(definition: unknown, base: Path, keys: ReadonlySet<string>, problems: RowProblems): void {
  if (!isFields(definition)) {
    problems('invalid_tools', base, definition, 'an object with name and parameters');
    return;
  }
  refuseUnknownKeys(definition, keys, base, problems);
  const { name, description, parameters, strict } = definition;
  if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) {
    problems('invalid_tools', at(base, 'name'), name, '1 to 64 letters, digits, underscores or dashes');
  }
  if (description !== undefined && typeof description !== 'string') {
    problems('invalid_tools', at(base, 'description'), description, 'a string');
  }
  if (parameters !== undefined && !isFields(parameters))
    problems('invalid_tools', at(base, 'parameters'), parameters, 'a JSON schema');
  if (strict !== undefined && strict !== null && typeof strict !== 'boolean') {
    problems('invalid_tools', at(base, 'strict'), strict, 'true, false or null');
  }
}
