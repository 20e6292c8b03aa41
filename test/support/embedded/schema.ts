import { isObject, uuidPattern } from './http.ts';

/** The part of JSON Schema that the request schemas of Nova, Cinder and Glance are written in. */
export interface Schema {
  type?: JsonType | JsonType[];
  required?: string[];
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  maxItems?: number;
  minProperties?: number;
  enum?: unknown[];
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  format?: 'uuid' | 'base64';
  anyOf?: Schema[];
}

type JsonType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null';

export interface Violation {
  path: (string | number)[];
  keyword: string;
  value: unknown;
  /** In the words of Python's jsonschema. */
  message: string;
}

/** First violation, outermost first, as `best_match` of jsonschema picks it. */
export function violation(
  schema: Schema,
  value: unknown,
  path: (string | number)[] = [],
): Violation | undefined {
  const own = ownViolation(schema, value);
  if (own) {
    return { path, value, ...own };
  }
  if (schema.items && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = violation(schema.items, item, [...path, index]);
      if (found) {
        return found;
      }
    }
  }
  if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      const memberSchema = schemaOfMember(schema, name);
      const found = memberSchema && violation(memberSchema, member, [...path, name]);
      if (found) {
        return found;
      }
    }
  }
  return undefined;
}

function schemaOfMember(schema: Schema, name: string): Schema | undefined {
  const named = schema.properties?.[name];
  if (named) {
    return named;
  }
  for (const [pattern, patternSchema] of Object.entries(schema.patternProperties ?? {})) {
    if (new RegExp(pattern).test(name)) {
      return patternSchema;
    }
  }
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}

function ownViolation(schema: Schema, value: unknown): { keyword: string; message: string } | undefined {
  const shown = python(value);
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type];
    if (!types.some((type) => isOfType(type, value))) {
      return {
        keyword: 'type',
        message: `${shown} is not of type ${types.map((type) => `'${type}'`).join(', ')}`,
      };
    }
  }
  if (schema.enum && !schema.enum.includes(value)) {
    return { keyword: 'enum', message: `${shown} is not one of ${python(schema.enum)}` };
  }
  if (schema.anyOf && !schema.anyOf.some((option) => violation(option, value) === undefined)) {
    return { keyword: 'anyOf', message: `${shown} is not valid under any of the given schemas` };
  }
  if (typeof value === 'string') {
    return stringViolation(schema, value, shown);
  }
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum) {
      return { keyword: 'minimum', message: `${shown} is less than the minimum of ${schema.minimum}` };
    }
    if (schema.maximum !== undefined && value > schema.maximum) {
      return { keyword: 'maximum', message: `${shown} is greater than the maximum of ${schema.maximum}` };
    }
    // A schema for "integer or string of digits" puts its pattern on both.
    return undefined;
  }
  if (Array.isArray(value) && schema.maxItems !== undefined && value.length > schema.maxItems) {
    return { keyword: 'maxItems', message: `${shown} is too long` };
  }
  return isObject(value) ? objectViolation(schema, value, shown) : undefined;
}

function stringViolation(
  schema: Schema,
  value: string,
  shown: string,
): { keyword: string; message: string } | undefined {
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength) {
    return { keyword: 'minLength', message: `${shown} is too short` };
  }
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    return { keyword: 'maxLength', message: `${shown} is too long` };
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    return { keyword: 'pattern', message: `${shown} does not match '${schema.pattern}'` };
  }
  if (schema.format === 'uuid' && !uuidPattern.test(value)) {
    return { keyword: 'format', message: `${shown} is not a 'uuid'` };
  }
  if (schema.format === 'base64' && !isBase64(value)) {
    return { keyword: 'format', message: `${shown} is not a 'base64'` };
  }
  return undefined;
}

function objectViolation(
  schema: Schema,
  value: Record<string, unknown>,
  shown: string,
): { keyword: string; message: string } | undefined {
  const missing = (schema.required ?? []).find((name) => !(name in value));
  if (missing !== undefined) {
    return { keyword: 'required', message: `'${missing}' is a required property` };
  }
  if (schema.additionalProperties === false) {
    const extra = Object.keys(value).filter((name) => !schemaOfMember(schema, name));
    const patterns = Object.keys(schema.patternProperties ?? {});
    if (extra.length > 0 && patterns.length > 0) {
      const verb = extra.length === 1 ? 'does' : 'do';
      return {
        keyword: 'additionalProperties',
        message: `${extra.map(python).sort().join(', ')} ${verb} not match any of the regexes: ${patterns.map((pattern) => `'${pattern}'`).join(', ')}`,
      };
    }
    if (extra.length > 0) {
      const verb = extra.length === 1 ? 'was' : 'were';
      return {
        keyword: 'additionalProperties',
        message: `Additional properties are not allowed (${extra.map(python).join(', ')} ${verb} unexpected)`,
      };
    }
  }
  if (schema.minProperties !== undefined && Object.keys(value).length < schema.minProperties) {
    return { keyword: 'minProperties', message: `${shown} does not have enough properties` };
  }
  return undefined;
}

function isOfType(type: JsonType, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isBase64(value: string): boolean {
  const compact = value.replaceAll(/\s/g, '');
  return compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact);
}

/** A JSON value as Python prints it: messages of real services quote values so. */
export function python(value: unknown): string {
  if (typeof value === 'string') {
    return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replaceAll("'", "\\'")}'`;
  }
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (Array.isArray(value)) {
    return `[${value.map(python).join(', ')}]`;
  }
  if (isObject(value)) {
    return `{${Object.entries(value)
      .map(([name, member]) => `${python(name)}: ${python(member)}`)
      .join(', ')}}`;
  }
  return String(value);
}

/** Message of the validation that Nova and Cinder share. */
export function inputMessage({ path, value, message }: Violation): string {
  const field = path.at(-1);
  if (field === undefined) {
    return message;
  }
  return `Invalid input for field/attribute ${field}. Value: ${typeof value === 'string' ? value : python(value)}. ${message}`;
}
