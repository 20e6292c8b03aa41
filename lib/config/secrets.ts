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
  const password = text.includes('://') ? URL.parse(text)?.password : undefined;
  return password ? [password, decoded(password)] : [];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
