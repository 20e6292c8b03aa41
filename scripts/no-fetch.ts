import type { Plugin } from 'esbuild';

/**
 * Leaves axios' adapter for fetch out of bundles. Nothing uses it, but to find out whether it could be used it loads all of
 * Node's fetch: half of the time that importing a function takes.
 */
export const noFetch: Plugin = {
  name: 'no-fetch',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/axios\/lib\/adapters\/fetch\.js$/ }, () => ({
      contents: 'export const getFetch = () => false;',
    })),
};

// biome-ignore lint/style/noDefaultExport: serverless-esbuild wants a list of plugins as one.
export default [noFetch];
