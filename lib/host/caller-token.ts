import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** What a header can carry without being encoded. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * The token that callers must know: of a file, if there is one, else of the environment.
 * @throws {Error} that says nothing of the token
 */
export async function readToken(source: {
  path: string | undefined;
  fromEnvironment: string | undefined;
}): Promise<string> {
  const { path, fromEnvironment = '' } = source;
  const token = path === undefined ? fromEnvironment : await tokenOf(path);
  if (token === '') {
    throw new Error('Without a token anybody could call: set CPI_SERVE_TOKEN, or give --token-file FILE');
  }
  if (!VISIBLE_ASCII.test(token)) {
    throw new Error('The token must consist of visible ASCII characters');
  }
  return token;
}

async function tokenOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    const reason = 'code' in cause ? cause.code : cause.message;
    throw new Error(`Cannot read the token file '${path}' (${reason})`, { cause });
  });
  return text.trim();
}

/**
 * Whether an Authorization header brings the token, as a bearer token or, from who can send nothing else, as the password of any
 * user; takes the same time for every wrong one, whatever its length.
 */
export function tokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token);
  return (authorization = '') => {
    const given = tokenIn(authorization);
    return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined;
  };
}

/** https://www.rfc-editor.org/rfc/rfc6750#section-2.1 and https://www.rfc-editor.org/rfc/rfc7617#section-2 */
function tokenIn(authorization: string): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== 'basic') {
    return value || undefined;
  }
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(value, 'base64').toString('utf8')) ?? [];
  return password;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
