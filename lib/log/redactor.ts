const REDACTED = '<redacted>';

const SECRET_HEADERS = new Set([
  'x-auth-token',
  'x-subject-token',
  'x-service-token',
  'x-amz-security-token',
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
]);

const SECRET_KEY =
  /pass(word|wd|phrase)|secret|api_?key|token|private_?key|adminpass|user_?data|personality|mbus|blobstore|credential|certificate_authority|^ca(_cert)?$|^cert$|^env$/i;
const SECRET_QUERY = /^(.*signature|.*token|.*password|.*secret|.*credential|(temp_url_)?sig)$/i;
const SECRET_IN_QUERY =
  /([?&](?:[\w.-]*(?:signature|token|password|secret|credential)|(?:temp_url_)?sig)=)[^&\s"'<>#]+/gi;
/** Without its scheme: to look for one from each word of a long text on would take minutes. */
const USER_INFO = /:\/\/[^\s/?#"'<>]+@/g;

/** Removes secrets from everything that is logged or reported. Pure: it keeps nothing but the list of literal secrets. */
export class Redactor {
  readonly #literals: RegExp | undefined;

  /** @param secrets values that are searched for and replaced wherever they appear, in any common encoding */
  constructor(secrets: readonly string[] = []) {
    const forms = secrets
      .filter((secret) => secret !== '')
      .flatMap((secret) => [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret.toWellFormed()),
      ]);
    // The longest first, so that a secret within another one leaves no remainder.
    const patterns = [...new Set(forms)].sort((a, b) => b.length - a.length).map(escaped);
    this.#literals = patterns.length > 0 ? new RegExp(patterns.join('|'), 'g') : undefined;
  }

  /** Any text: literal secrets and the user info of URLs. */
  text(text: string): string {
    const clean = text.replace(USER_INFO, `://${REDACTED}@`).replace(SECRET_IN_QUERY, `$1${REDACTED}`);
    return this.#literals ? clean.replace(this.#literals, REDACTED) : clean;
  }

  /** A URL with the secret values of its query replaced. */
  url(url: string): string {
    const parsed = URL.parse(url);
    if (!parsed?.search) {
      return this.text(url);
    }
    const query = [...parsed.searchParams]
      .map(([name, value]) => `${name}=${SECRET_QUERY.test(name) ? REDACTED : value}`)
      .join('&');
    return this.text(`${parsed.origin}${parsed.pathname}?${query}`);
  }

  headers(headers: Record<string, unknown>): string {
    const clean = Object.entries(headers).map(([name, value]) => [
      name,
      SECRET_HEADERS.has(name.toLowerCase()) ? REDACTED : value,
    ]);
    return this.text(JSON.stringify(Object.fromEntries(clean)));
  }

  /** A JSON value, with every value under a secret's name replaced, at any depth. */
  json(value: unknown): string {
    return this.text(JSON.stringify(redactValue(value)) ?? '');
  }
}

function escaped(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function redactValue(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(redactValue);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_KEY.test(name) && inner !== null && !isLogin(name, inner) ? REDACTED : redactValue(inner),
    ]),
  );
}

/** Keystone nests who logs in below the name of the method, `password`. */
function isLogin(name: string, value: unknown): boolean {
  return name === 'password' && typeof value === 'object' && value !== null && 'user' in value;
}
