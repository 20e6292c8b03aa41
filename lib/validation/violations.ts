import { rubyTypeName } from '../json.ts';

/** The parts of JSON Schema that our schemas use. */
export interface JsonSchema {
  title?: string;
  description?: string;
  errorMessage?: string;
  type?: string;
  items?: JsonSchema | JsonSchema[];
  minItems?: number;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
}

/** A validator that Ajv compiled; what it found wrong last is in `errors`. */
export interface Validator {
  (data: unknown): boolean;
  errors?: { instancePath: string }[] | null;
}

/** One wrong value. Neither field holds the value itself, which may be secret. */
export interface Violation {
  /** Keys and indexes that lead to the value. */
  path: string[];
  /** Completes "must be …". */
  expected: string;
  /** Replaces that sentence, where the schema says so. */
  message: string | undefined;
}

/** What is wrong with a value: one entry per wrong place, the innermost only, in the order of the schema. */
export function violations(schema: JsonSchema, validate: Validator, data: unknown): Violation[] {
  if (validate(data)) {
    return [];
  }
  const pointers = [...new Set((validate.errors ?? []).map((error) => error.instancePath))];
  return pointers
    .filter((pointer) => !pointers.some((other) => other.startsWith(`${pointer}/`)))
    .map((pointer) => violation(schema, pathOf(pointer), data));
}

function violation(schema: JsonSchema, path: string[], data: unknown): Violation {
  const found = schemasAt(schema, path).filter(
    ({ description, errorMessage }) => description ?? errorMessage,
  );
  const message = found.find(({ errorMessage }) => errorMessage !== undefined)?.errorMessage;
  return {
    path,
    expected: found[0]?.description ?? 'a valid value',
    message: message?.replace('{type}', rubyTypeName(valueAt(data, path))),
  };
}

function pathOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The schemas that apply at a path, outermost alternative first. */
function schemasAt(schema: JsonSchema, path: string[]): JsonSchema[] {
  const alternatives = alternativesOf(schema);
  const [head, ...rest] = path;
  if (head === undefined) {
    return alternatives;
  }
  return alternatives.flatMap((alternative) => {
    const child = childOf(alternative, head);
    return child ? schemasAt(child, rest) : [];
  });
}

function alternativesOf(schema: JsonSchema): JsonSchema[] {
  return [schema, ...(schema.anyOf ?? []).flatMap(alternativesOf)];
}

function childOf(schema: JsonSchema, key: string): JsonSchema | undefined {
  if (Array.isArray(schema.items)) {
    return schema.items[Number(key)];
  }
  const byName = schema.properties?.[key] ?? Object.values(schema.patternProperties ?? {})[0];
  return byName ?? schema.items;
}

function valueAt(data: unknown, path: string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([k]) => k === key)?.[1]
        : undefined,
    data,
  );
}
