import Type from 'typebox';

export const deleteStemcellImage = Type.Tuple([
  Type.String({
    title: 'image',
    description: "an image's id, or the key of the object that it was made of",
    pattern: '^[^\\u0000-\\u001f]+$',
  }),
]);
