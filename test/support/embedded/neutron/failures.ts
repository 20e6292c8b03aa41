import { ApiError } from '../http.ts';

export function failure(status: number, type: string, message: string): ApiError {
  return new ApiError({ status, body: { NeutronError: { type, message, detail: '' } } });
}

export function forbidden(rules: string[]): ApiError {
  return failure(
    403,
    'PolicyNotAuthorized',
    `${rules.length > 1 ? '(' : ''}${rules.map((rule) => `rule:${rule}`).join(' and ')}${rules.length > 1 ? ')' : ''} is disallowed by policy`,
  );
}
