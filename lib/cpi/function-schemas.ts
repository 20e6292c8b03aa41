import Type, { type TSchema } from 'typebox';
import { isRecord } from '../json.ts';
import { argumentSchemas, operatorArgumentSchemas } from './arguments/schemas.ts';

/** Schemas of what a function takes and answers, for docs/; functions themselves carry validators of their arguments only. */
const DRAFT = 'http://json-schema.org/draft-07/schema#';

/** What reads files of its machine is no function elsewhere. */
const { upload_stemcell: _, ...deployedOperatorSchemas } = operatorArgumentSchemas;
const deployedSchemas = { ...argumentSchemas, ...deployedOperatorSchemas };

const section = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description }));
const orNull = (schema: TSchema) => Type.Optional(Type.Union([schema, Type.Null()]));

const invocation = Type.Object(
  {
    id: Type.String({
      description: 'a UUID of the call, which marks all that it creates; the same in all attempts',
      pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$',
    }),
    attempt: Type.Optional(
      Type.Integer({ minimum: 1, description: 'counts the attempts of the call; absent: 1' }),
    ),
    lap_ms: orNull(
      Type.Number({
        minimum: 0,
        description: 'milliseconds that this attempt may take; absent or 0: as long as the platform allows',
      }),
    ),
    elapsed_ms: orNull(
      Type.Number({ minimum: 0, description: 'milliseconds since the first attempt was sent; absent: 0' }),
    ),
    resume: orNull(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'what the last pending answer had, unchanged; null in the first attempt',
      }),
    ),
    cancel: Type.Optional(
      Type.Boolean({ description: 'true: take back what the call has made, and answer an error' }),
    ),
  },
  { description: 'which attempt of which call this is; absent where a call is one attempt' },
);

const config = Type.Object(
  {
    cloud: Type.Object({
      properties: Type.Object(
        {
          openstack: section('how to reach OpenStack; needed where the function has no section of its own'),
          agent: section("settings of agents, instead of the function's own"),
          registry: section("the registry, instead of the function's own"),
          retry_config: section("retries, instead of the function's own"),
        },
        { additionalProperties: Type.Unknown() },
      ),
    }),
  },
  { description: 'sections of the configuration that the caller keeps' },
);

const event = Type.Object(
  {
    method: Type.Optional(
      Type.Unsafe<string>({
        enum: Object.keys(deployedSchemas),
        description: "the function's own method; absent: just that",
      }),
    ),
    arguments: Type.Array(Type.Unknown(), {
      description: 'arguments of the method; what comes after its own is ignored',
    }),
    context: orNull(
      Type.Object(
        {
          director_uuid: Type.Optional(Type.Unknown()),
          request_id: Type.Optional(Type.Unknown({ description: 'a text or a number, for the log' })),
          vm: orNull(
            Type.Object(
              {
                stemcell: orNull(
                  Type.Object(
                    { api_version: orNull(Type.Integer()) },
                    { additionalProperties: Type.Unknown() },
                  ),
                ),
              },
              { additionalProperties: Type.Unknown() },
            ),
          ),
        },
        {
          description: "the Director's context; further keys are properties of its CPI config",
          additionalProperties: Type.Unknown(),
        },
      ),
    ),
    api_version: orNull(
      Type.Integer({ minimum: 1, maximum: 3, description: 'version of the CPI API; absent: 1' }),
    ),
    invocation: orNull(invocation),
    config: orNull(config),
  },
  { additionalProperties: Type.Unknown() },
);

const responseLog = Type.String({
  description: 'lines of the log, free of secrets: of the first 16 KiB and the last 48 KiB',
});

const answer = Type.Union([
  Type.Object(
    {
      result: Type.Unknown({ description: "the method's result; null where it has none" }),
      error: Type.Null(),
      log: responseLog,
    },
    { title: 'success', additionalProperties: false },
  ),
  Type.Object(
    {
      result: Type.Null(),
      error: Type.Object(
        {
          type: Type.String({
            pattern: '^Bosh::Clouds::[A-Za-z]+$',
            description: 'as the Director knows it',
          }),
          message: Type.String(),
          ok_to_retry: Type.Boolean({ description: 'whether the Director may call again' }),
        },
        { additionalProperties: false },
      ),
      log: responseLog,
    },
    { title: 'error', additionalProperties: false },
  ),
  Type.Object(
    {
      pending: Type.Object(
        {
          reason: Type.String({ description: 'what the attempt was waiting for' }),
          resume: Type.Record(Type.String(), Type.Unknown(), {
            description: 'for invocation.resume of the next attempt',
          }),
        },
        { additionalProperties: false },
      ),
      log: responseLog,
    },
    { title: 'pending', additionalProperties: false },
  ),
]);

/** Of an event. What arguments a method takes is said for each method, as they are sent: the last ones may be left out. */
export const eventSchema: object = {
  $schema: DRAFT,
  title: 'Event of a CPI function',
  ...plain(event),
  allOf: Object.entries(deployedSchemas).map(([method, schema]) => ({
    if: { properties: { method: { const: method } }, required: ['method'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { properties: { arguments: sentArguments(plain(schema)) } },
  })),
};

export const answerSchema: object = { $schema: DRAFT, title: 'Answer of a CPI function', ...plain(answer) };

/** Functions complete a list with null before they check it. */
function sentArguments(schema: Record<string, unknown>): object {
  const items: unknown[] = Array.isArray(schema.items) ? schema.items : [];
  const { additionalItems: _, ...rest } = schema;
  return { ...rest, minItems: items.filter((item) => !isNullable(item)).length };
}

function isNullable(schema: unknown): boolean {
  const alternatives = isRecord(schema) && Array.isArray(schema.anyOf) ? schema.anyOf : [];
  return alternatives.some((alternative) => isRecord(alternative) && alternative.type === 'null');
}

/** JSON only, without the keyword of our own. */
function plain(schema: TSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema, (key, value) => (key === 'errorMessage' ? undefined : value)));
}
