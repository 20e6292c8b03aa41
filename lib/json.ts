/** The value of a JSON text; undefined when it is empty or not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a JSON value has more levels than code that walks it recursively can be trusted with. */
export function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(levels - 1, inner));
}

/** Whether a value of unknown shape is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type of a JSON value by Ruby's names, as the messages have them that operators know. */
export function rubyTypeName(value: unknown): string {
  if (value === null || value === undefined) {
    return 'NilClass';
  }
  if (Array.isArray(value)) {
    return 'Array';
  }
  const names: Record<string, string> = { string: 'String', boolean: 'Boolean', number: 'Numeric' };
  return names[typeof value] ?? 'Hash';
}
