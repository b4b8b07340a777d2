/**
 * The part of JSON Schema that OpenAI's request bodies need, with the messages of Python's `jsonschema`, which is what
 * OpenAI's fine-tuning endpoints answer with ("None is not of type 'string' - 'suffix'", "'file' is a required property").
 */
export interface BodySchema {
  type?: 'string' | 'integer' | 'number' | 'object' | 'array';
  nullable?: boolean;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  maxKeyLength?: number;
  required?: readonly string[];
  properties?: Readonly<Record<string, BodySchema>>;
  /** False refuses keys beyond `properties`; a schema checks them. */
  additionalProperties?: false | BodySchema;
  items?: BodySchema;
  anyOf?: readonly BodySchema[];
}

/** A value as Python prints it, in OpenAI's messages. */
export function pythonText(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string')
    return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replaceAll("'", "\\'")}'`;
  if (Array.isArray(value)) return `[${value.map(pythonText).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, entry]) => `${pythonText(key)}: ${pythonText(entry)}`)
      .join(', ')}}`;
  }
  return JSON.stringify(value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasType(value: unknown, type: NonNullable<BodySchema['type']>): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function numberProblem(value: number, schema: BodySchema): string | undefined {
  if (schema.minimum !== undefined && value < schema.minimum)
    return `${String(value)} is less than the minimum of ${String(schema.minimum)}`;
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) {
    return `${String(value)} is less than or equal to the minimum of ${String(schema.exclusiveMinimum)}`;
  }
  if (schema.maximum !== undefined && value > schema.maximum)
    return `${String(value)} is greater than the maximum of ${String(schema.maximum)}`;
  return undefined;
}

function stringProblem(value: string, schema: BodySchema): string | undefined {
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return `${pythonText(value)} is not one of ${pythonText(schema.enum)}`;
  if (schema.minLength !== undefined && value.length < schema.minLength) return `${pythonText(value)} is too short`;
  if (schema.maxLength !== undefined && value.length > schema.maxLength) return `${pythonText(value)} is too long`;
  return undefined;
}

function objectProblem(value: Record<string, unknown>, schema: BodySchema, path: string): string | undefined {
  const at = path === '' ? '' : ` - '${path}'`;
  for (const name of schema.required ?? []) {
    if (!(name in value)) return `${pythonText(name)} is a required property${at}`;
  }
  const names = Object.keys(value);
  if (schema.maxProperties !== undefined && names.length > schema.maxProperties) {
    return `${pythonText(value)} has too many properties${at}`;
  }
  for (const name of names) {
    if (schema.maxKeyLength !== undefined && name.length > schema.maxKeyLength)
      return `${pythonText(name)} is too long${at}`;
    const known = schema.properties?.[name];
    if (known === undefined && schema.additionalProperties === false) {
      return `Additional properties are not allowed (${pythonText(name)} was unexpected)${at}`;
    }
    const rule = known ?? schema.additionalProperties;
    if (rule === undefined || rule === false) continue;
    const problem = checkBody(value[name], rule, path === '' ? name : `${path}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The first thing wrong with `value`, as OpenAI words it, or undefined. */
export function checkBody(value: unknown, schema: BodySchema, path = ''): string | undefined {
  const at = path === '' ? '' : ` - '${path}'`;
  if (value === null && schema.nullable === true) return undefined;
  if (schema.anyOf !== undefined) {
    const problems = schema.anyOf.map((option) => checkBody(value, option, path));
    if (problems.includes(undefined)) return undefined;
    // The branch of the right type says more than "under none of the schemas".
    const typed = schema.anyOf.findIndex((option) => option.type === undefined || hasType(value, option.type));
    return typed === -1 ? `${pythonText(value)} is not valid under any of the given schemas${at}` : problems[typed];
  }
  if (schema.type !== undefined && !hasType(value, schema.type)) {
    return `${pythonText(value)} is not of type '${schema.type}'${at}`;
  }
  if (typeof value === 'number') {
    const problem = numberProblem(value, schema);
    if (problem !== undefined) return `${problem}${at}`;
  }
  if (typeof value === 'string') {
    const problem = stringProblem(value, schema);
    if (problem !== undefined) return `${problem}${at}`;
  }
  if (Array.isArray(value)) {
    if (schema.maxItems !== undefined && value.length > schema.maxItems) return `${pythonText(value)} is too long${at}`;
    for (const [index, item] of value.entries()) {
      const problem = schema.items && checkBody(item, schema.items, `${path}.${String(index)}`);
      if (problem !== undefined) return problem;
    }
  }
  if (isObject(value)) return objectProblem(value, schema, path);
  return undefined;
}
