import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

const FORM_DATA = "typeof G.FormData !== 'undefined' ? G.FormData : undefined";

/**
 * Bundles of axios that load neither fetch nor HTTP/2. Nothing uses them, but axios loads all of Node's fetch to learn whether it
 * could be used, and whether a body is one of its forms: half of the time that importing a function takes.
 */
export const leanAxios: Plugin = {
  name: 'lean-axios',
  setup: ({ onResolve, onLoad }) => {
    onLoad({ filter: /\/axios\/lib\/adapters\/fetch\.js$/ }, () => ({
      contents: 'export const getFetch = () => false;',
    }));
    onLoad({ filter: /\/axios\/lib\/utils\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(FORM_DATA)) {
        throw new Error(`${path} has changed: where does it look for FormData?`);
      }
      return { contents: text.replace(FORM_DATA, 'undefined') };
    });
    onResolve({ filter: /^http2$/ }, ({ importer }) =>
      importer.includes('/axios/lib/') ? { path: 'http2', namespace: 'nothing' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'export default {};' }));
  },
};

// biome-ignore lint/style/noDefaultExport: serverless-esbuild wants a list of plugins as one.
export default [leanAxios];
