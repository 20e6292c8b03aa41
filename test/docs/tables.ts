import { readdir, readFile } from 'node:fs/promises';

/** The rows of the first table below a heading, cell by cell. */
export function tableBelow(heading: string, page: string): string[][] {
  const section = page.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => /^\| (?!-)/.test(line));
  return rows.slice(1).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What a cell has between backquotes. */
export function codeOf(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/** Files of the CPI's own that have a text as it is. */
export async function sourcesWith(text: string): Promise<string[]> {
  const paths = (await readdir('lib', { recursive: true })).filter((path) => path.endsWith('.ts'));
  const sources = await Promise.all(
    paths.map(async (path) => ({ path, source: await readFile(`lib/${path}`, 'utf8') })),
  );
  return sources.filter(({ source }) => source.includes(text)).map(({ path }) => path);
}
