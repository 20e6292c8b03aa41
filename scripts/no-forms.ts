/** Stands in bundles for the library with which axios sends forms: with its list of media types it is a quarter of a bundle. */
// biome-ignore lint/style/noDefaultExport: the library has one.
export default class NoForms {}
