import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderJob } from './render.ts';

const SPEC = `
name: sample
templates: {file.erb: config/file}
packages: []
properties:
  a.b: {description: "A property."}
  a.c: {description: "Another one.", default: false}
  d: {description: "A third one.", default: [1]}
`;

let jobFolder: string;

beforeEach(async () => {
  jobFolder = await mkdtemp(join(tmpdir(), 'sample-job-'));
  await mkdir(join(jobFolder, 'templates'));
  await writeFile(join(jobFolder, 'job.MF'), SPEC);
});

afterEach(() => rm(jobFolder, { recursive: true }));

async function rendered(
  template: string,
  properties: Record<string, unknown> = {},
): Promise<string | undefined> {
  await writeFile(join(jobFolder, 'templates', 'file.erb'), template);
  return (await renderJob({ jobFolder, properties }))['config/file'];
}

describe('renderJob', () => {
  it.each([
    ["<%= p('a.b') %>", { a: { b: 'text' } }, 'text'],
    ["<%= p('a.b', 'default') %>", {}, 'default'],
    ["<%= p('a.b', nil).inspect %>", { a: { b: null } }, 'nil'],
    ["<%= p('a.c', true) %>", {}, 'false'],
    ["<%= p('a.c') %>", { a: { c: true } }, 'true'],
    ["<%= p('d') %>", { d: null }, '[1]'],
    ["<%= p(['a.b', 'd']) %>", {}, '[1]'],
    ["<%= p('a').to_a %>", { a: { b: 1, unlisted: 2 }, other: 3 }, '[["b", 1], ["c", false]]'],
    ["<%= p('a.b.inner') %>", { a: { b: { inner: 1 } } }, '1'],
    ["<%= p('other', 'invisible') %>", { other: 1 }, 'invisible'],
    ["<% if_p('a.b', 'd') { |b, d| %><%= [b, d] %><% } %>", { a: { b: 1 } }, '[1, [1]]'],
    ["<% if_p('a.b') { %>there<% }.else { %>not there<% } %>", {}, 'not there'],
    ["<% if_p('a.b') { %>there<% }.else { %>not there<% } %>", { a: { b: 1 } }, 'there'],
    ["<% if_p('a.b') { }.else_if_p('d') { |d| %><%= d %><% }.else { %>none<% } %>", {}, '[1]'],
    ["<% if_p('d') { }.else_if_p('a.c') { %>second<% }.else { %>none<% } %>", {}, ''],
    ['<%= name %>/<%= index %> <%= spec.name %>', {}, 'sample/0 sample'],
    ['<%- 1.times do -%>\nline\n<%- end -%>\n', {}, 'line\n'],
    ['\t<%= 1 %>\n\n', {}, '\t1\n\n'],
  ])('renders %j with %j', async (template, properties, expected) => {
    expect(await rendered(template, properties)).toBe(expected);
  });

  it.each([
    ["<%= p('a.b') %>", {}, "Can't find property 'a.b'"],
    ["<%= p(['a.b', 'a.x']) %>", {}, "Can't find property 'a.b', or 'a.x'"],
    ["<%= p('other') %>", { other: 1 }, "Can't find property 'other'"],
    ["<% raise 'a message' %>", {}, 'a message'],
    ['', { a: 'text' }, "Property 'a.b' expects a hash, but received 'String'"],
  ])('refuses %j with %j', async (template, properties, message) => {
    await expect(rendered(template, properties)).rejects.toThrow(new Error(message));
  });
});
