import { schemas, validators } from '#validators';
import { CpiError } from '../cpi/errors.ts';
import type { FunctionMethod } from '../cpi/methods.ts';
import { type JsonSchema, violations } from '../validation/violations.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/**
 * Brings the arguments to the length that the method's schema has: extra ones are cut, missing optional ones are null. To be
 * used before @middy/validator, whose refusal it puts into words, without any value.
 */
export function argumentList(method: FunctionMethod): Middleware {
  const schema = schemas[method];
  const positions = positionsOf(schema);

  const before = (request: MiddlewareRequest) => {
    const given = request.context.cpi?.request?.arguments ?? [];
    const required = positions.filter((position) => !isNullable(position));
    if (given.length < required.length) {
      const names = required.map((position) => position.title).join(', ');
      throw new CpiError(
        `Arguments are not correct, details: '${method}' expects at least ${required.length} ` +
          `${required.length === 1 ? 'argument' : 'arguments'} (${names}), got ${given.length}`,
      );
    }
    const list = positions.map((_, index) => given[index] ?? null);
    request.event = { ...Object(request.event), arguments: list };
  };

  const onError = (request: MiddlewareRequest) => {
    if (isRefusal(request.error)) {
      request.error = refusal(method, positions, schema, request.event);
    }
  };

  return { before, onError };
}

function refusal(
  method: FunctionMethod,
  positions: JsonSchema[],
  schema: JsonSchema,
  event: unknown,
): CpiError {
  const found = violations(schema, validators[method], event);
  const own = found.flatMap(({ message }) => message ?? []);
  if (own.length > 0) {
    return new CpiError([...new Set(own)].join('; '));
  }
  const sentences = found.map(({ path: [, index = '0', ...keys], expected }) => {
    const name = [positions[Number(index)]?.title, ...keys].join('.');
    return `'${method}' expects argument ${Number(index) + 1} (${name}) to be ${expected}`;
  });
  return new CpiError(`Arguments are not correct, details: ${sentences.join('; ')}`);
}

function positionsOf(schema: JsonSchema): JsonSchema[] {
  const items = schema.properties?.arguments?.items;
  return Array.isArray(items) ? items : [];
}

function isNullable(position: JsonSchema): boolean {
  return position.anyOf?.some((alternative) => alternative.type === 'null') ?? false;
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return (
    typeof cause === 'object' && cause !== null && 'package' in cause && cause.package === '@middy/validator'
  );
}
