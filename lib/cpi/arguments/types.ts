import Type, { type TSchema } from 'typebox';

/**
 * Each schema's `title` names an argument and its `description` completes "must be …" in the error that a wrong value gets;
 * `errorMessage` replaces that error altogether.
 */
export const cid = (title: string) =>
  Type.String({
    title,
    description: 'a non-empty string',
    // A dot path would change the URL that an id becomes part of.
    pattern: '^(?!\\.{1,2}$)[^\\u0000-\\u001f]+$',
  });

/** An image's id, with a suffix where the image is not BOSH's own. */
export const stemcellCid = () =>
  Type.String({
    title: 'stemcell_cid',
    description: 'a non-empty string',
    pattern: '^(?!\\.{0,2}( light)?$)[^\\u0000-\\u001f]+$',
  });

export const hash = (title: string) =>
  Type.Record(Type.String(), Type.Unknown(), { title, description: 'an object' });

export const nullable = <T extends TSchema & { title?: string; description?: string }>(schema: T) =>
  Type.Union([schema, Type.Null()], {
    ...(schema.title === undefined ? {} : { title: schema.title }),
    description: `${schema.description ?? 'a value'} or null`,
  });

/** A key that may be absent or null. */
export const optional = <T extends TSchema>(schema: T) => Type.Optional(nullable(schema));

export const text = () => Type.String({ description: 'a string' });
export const flag = () => Type.Boolean({ description: 'true or false' });
export const mebibytes = (title: string, errorMessage: string) =>
  Type.Integer({ title, description: 'an integer', errorMessage });
