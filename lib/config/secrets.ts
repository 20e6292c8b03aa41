const SECRET_NAME = /^(api_key|.*secret.*|.*password.*|.*token.*|.*private_key.*)$/i;

/** Every value of the configuration that must not appear in a log: those with a secret's name, and passwords within URLs. */
export function secretsOf(value: unknown, name = ''): string[] {
  if (typeof value === 'string') {
    return [...(SECRET_NAME.test(name) ? [value] : []), ...urlPasswords(value)];
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, inner]) => secretsOf(inner, Array.isArray(value) ? name : key));
}

function urlPasswords(text: string): string[] {
  // Not by a URL parser: passwords with characters that a URL must not have are used all the same.
  const password = /:\/\/[^:/@\s]*:(.+)@/.exec(text)?.[1];
  return password ? [password, decoded(password)] : [];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
