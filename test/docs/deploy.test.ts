import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { deployedFunctions, functions } from '#functions/index.ts';

const USD_PER_GB_SECOND = 0.0000133334;
const USD_PER_REQUEST = 0.0000002;

const deployment = await readFile('docs/deploy.md', 'utf8');
const consolePage = await readFile('docs/console.md', 'utf8');
const serverless = await readFile('serverless.yml', 'utf8');
const methods = Object.keys(functions);
const kebabCase = (method: string) => method.replaceAll('_', '-');

/** The rows of the table whose first column is called so, cell by cell and without backquotes. */
function tableOf(page: string, firstColumn: string): string[][] {
  const tables = page.split(/\n\n+/).filter((block) => block.startsWith('|'));
  const table = tables.find((block) => block.startsWith(`| ${firstColumn} `)) ?? '';
  const rows = table.split('\n').filter((row) => row.startsWith('| '));
  return rows
    .filter((row) => !row.startsWith('| --'))
    .slice(1)
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('`', '').trim()),
    );
}

/** Of serverless.yml, with their defaults. */
function parameters(): Map<string, string> {
  const block = /\nparams:\n {2}default:\n((?: {4}.*\n)+)/.exec(serverless)?.[1] ?? '';
  const lines = [...block.matchAll(/^ {4}(\w+): (.*)$/gm)];
  return new Map(lines.map(([, name = '', value = '']) => [name, value.replaceAll('"', '')]));
}

describe('the parameters of a deployment', () => {
  it('are those of serverless.yml', () => {
    const documented = tableOf(deployment, 'Parameter').map(([name]) => name);

    expect(documented.sort()).toEqual(
      [...parameters().keys(), 'concurrency', '<function>-concurrency'].sort(),
    );
  });

  it('have the defaults of serverless.yml', () => {
    const documented = new Map(tableOf(deployment, 'Parameter').map(([name, value]) => [name, value]));
    const defaults = [...parameters()].filter(([, value]) => value !== '');

    expect(defaults.length).toBeGreaterThan(6);
    expect(defaults.map(([name]) => [name, documented.get(name)])).toEqual(defaults);
  });

  it('reserve concurrency for a function by its name', () => {
    const reserved = [...serverless.matchAll(/\$\{param:([\w-]+)-concurrency, param:concurrency, null\}/g)];

    expect(reserved.map(([, name]) => name)).toEqual(Object.keys(deployedFunctions).map(kebabCase));
    expect(deployment).toContain(`of each of the ${reserved.length} functions`);
  });
});

describe('the costs', () => {
  it.each(tableOf(deployment, 'Method'))(
    'of %s follow from memory and time',
    (method = '', memory = '', seconds = '', gbSeconds = '', usd = '') => {
      const computed = (Number.parseInt(memory, 10) / 1024) * Number(seconds);

      expect(methods).toContain(method);
      expect(Math.abs(Number(gbSeconds) - computed)).toBeLessThan(0.00051);
      expect(usd).toBe((1000 * (computed * USD_PER_GB_SECOND + USD_PER_REQUEST)).toFixed(4));
    },
  );

  it('are there for calls that take seconds', () => {
    expect(tableOf(deployment, 'Method').length).toBeGreaterThan(14);
  });
});

describe('the events by hand', () => {
  it.each(methods)('has that of %s, and what is to be filled in', async (method) => {
    const file = `events/${kebabCase(method)}.json`;
    const event = await readFile(file, 'utf8');
    const placeholders = [...new Set(event.match(/<\w+>/g))].join(', ');

    const row = tableOf(consolePage, 'Method').find(([name]) => name === method);

    expect(row).toEqual([method, `[${file}](../${file})`, placeholders || 'nothing']);
  });
});
