import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;

interface SourceFile {
  /** From the project's folder. */
  path: string;
  text: string;
  /** What it imports, as types too: packages by name, own files by path. */
  imports: string[];
}

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;

function sources(...folders: string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => sourceFile(join(folder, name))),
  );
}

function sourceFile(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = [...text.matchAll(IMPORT)].map(([, specifier = '']) => resolved(path, specifier));
  return { path, text, imports };
}

function resolved(path: string, specifier: string): string {
  return specifier.startsWith('.')
    ? relative(ROOT, join(ROOT, dirname(path), specifier))
    : specifier.replace(/^#(functions|lib|test)\//, '$1/');
}

/** `<file> imports <what it must not>`, for each. */
function offences(files: SourceFile[], isForbidden: (imported: string, path: string) => boolean): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter((imported) => isForbidden(imported, path))
      .map((imported) => `${path} imports ${imported}`),
  );
}

function containing(files: SourceFile[], pattern: RegExp): string[] {
  return files.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
}

const library = sources('lib');

describe('the source', () => {
  it('is found, with its imports', () => {
    const session = library.find(({ path }) => path === 'lib/openstack/session.ts');

    expect(library.length).toBeGreaterThan(90);
    expect(session?.imports).toContain('lib/openstack/keystone/catalog.ts');
    expect(sources('bin')[0]?.imports).toContain('functions/index.ts');
  });

  it.each(['lib/openstack', 'lib/registry', 'lib/s3', 'lib/aws', 'lib/http', 'lib/log'])(
    'of %s knows neither BOSH nor middy',
    (folder) => {
      const forbidden =
        /^(lib\/(cpi|middleware|config|invoke|vm|disk|stemcell|network|validation)\/|functions\/|@middy\/|aws-lambda)/;

      expect(offences(sources(folder), (imported) => forbidden.test(imported))).toEqual([]);
    },
  );

  it('of lib never imports functions, tests or the binary', () => {
    expect(offences(library, (imported) => /^(functions|test|bin)\//.test(imported))).toEqual([]);
  });

  it('uses middy in lib/middleware only', () => {
    const others = [...library, ...sources('functions', 'bin')].filter(
      ({ path }) => !path.startsWith('lib/middleware/'),
    );

    expect(offences(others, (imported) => imported.startsWith('@middy/'))).toEqual([]);
  });

  it('of a function imports no HTTP', () => {
    const forbidden = /^(lib\/http\/|axios|(node:)?https?$)/;

    expect(offences(sources('functions'), (imported) => forbidden.test(imported))).toEqual([]);
  });

  it('uses axios in one file', () => {
    expect(library.filter(({ imports }) => imports.includes('axios')).map(({ path }) => path)).toEqual([
      'lib/http/transport.ts',
    ]);
  });

  it('reads the environment in lib/config only', () => {
    const readers = containing(
      [...library, ...sources('functions', 'bin')],
      /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\benv\b.*=\s*process\b/,
    );

    expect(readers.filter((path) => !path.startsWith('lib/config/'))).toEqual([]);
    expect(readers).toEqual(['lib/config/environment.ts']);
  });

  it('writes nothing to the console, whose output belongs to the response', () => {
    expect(containing([...library, ...sources('functions', 'bin')], /\bconsole\s*[.[]/)).toEqual([]);
    expect(containing([...library, ...sources('functions')], /\bprocess\.(stdout|stderr)\b/)).toEqual([]);
  });

  it('sleeps only where a lap can end it, and between attempts', () => {
    const sleepers = library
      .filter(({ imports }) => imports.includes('node:timers/promises'))
      .map(({ path }) => path);

    expect(sleepers.sort()).toEqual(['lib/invoke/attempts.ts', 'lib/lap/lap.ts']);
  });

  it('is written in relative paths within lib, and by subpath elsewhere', () => {
    const climbing = [...library, ...sources('functions', 'bin')].filter(({ text }) =>
      text.includes("'../../../"),
    );

    expect(climbing.map(({ path }) => path)).toEqual([]);
  });

  it('has one function for each method of the table', () => {
    const files = sources('functions').map(({ path }) => path.replace(/^functions\/(.+)\.ts$/, '$1'));
    const table = readFileSync(join(ROOT, 'functions/index.ts'), 'utf8');

    const named = [...table.matchAll(/(\w+): \(\) => import\('\.\/([\w-]+)\.ts'\)/g)].map(
      ([, method, file]) => [method, file],
    );

    expect(named.map(([, file]) => file).sort()).toEqual(files.filter((name) => name !== 'index').sort());
    expect(named.filter(([method, file]) => method !== file?.replaceAll('-', '_'))).toEqual([]);
  });
});
