import Type from 'typebox';

export const info = Type.Array(Type.Unknown(), { maxItems: 0 });
