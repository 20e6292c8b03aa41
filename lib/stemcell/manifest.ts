import { type Document, isScalar, Lexer, parseDocument, visit } from 'yaml';
import { schemas, validators } from '#validators';
import { CloudError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';
import { violations } from '../validation/violations.ts';
import type { StemcellProperties } from './image-properties.ts';

export const MANIFEST_FILE = 'stemcell.MF';
export const MAX_MANIFEST_BYTES = 1024 * 1024;
export const LIGHT_FORMAT = 'openstack-light';

/** More than any manifest needs, and far less than the parser can bear. */
const MAX_LEVELS = 200;
/** Of keys and texts, with what aliases stand for: each may repeat nearly all of a manifest. */
const MAX_SIZE = 4 * MAX_MANIFEST_BYTES;
/** Of hashes in hexadecimal. */
const DIGITS = { sha1: 40, sha256: 64, sha512: 128 } as const;

/** What the file `image` of a stemcell must hash to. */
export interface Digest {
  algorithm: keyof typeof DIGITS;
  /** Lower case. */
  hex: string;
}

/** What a stemcell says of itself. */
export interface StemcellManifest {
  /** As it was read. */
  text: string;
  name: string;
  version: string;
  operatingSystem: string | undefined;
  formats: string[];
  digest: Digest | undefined;
  /** Whether it names an image instead of bringing one. */
  isLight: boolean;
  /** With the name and version of the stemcell where they have none of their own. */
  properties: StemcellProperties;
  /** Of the stemcell and of its cloud properties. */
  tags: Record<string, unknown>;
}

/**
 * Reads the manifest of a stemcell, YAML or JSON.
 * @throws {CloudError} that names the field, and what was expected
 */
export function readManifest(content: Buffer): StemcellManifest {
  const text = decoded(content);
  const manifest = fieldsOf(manifestDocument(text));
  const cloudProperties = section(manifest, 'cloud_properties');
  const name = requiredText(manifest, 'name');
  const version = requiredText(manifest, 'version');
  const properties = checkedProperties({
    ...cloudProperties,
    name: cloudProperties.name ?? name,
    version: cloudProperties.version ?? version,
  });
  const formats = textsOf(manifest, 'stemcell_formats');
  return {
    text,
    name,
    version,
    operatingSystem: optionalText(manifest, 'operating_system'),
    formats,
    digest: digestOf(optionalText(manifest, 'sha1')),
    isLight: formats.includes(LIGHT_FORMAT) || Boolean(properties.image_id),
    properties,
    tags: { ...properties.tags, ...section(manifest, 'tags') },
  };
}

/**
 * The document of a manifest, in which numbers are texts, as they are written: version 1.390 is not 1.39.
 * @throws {CloudError} when it is no single YAML document
 */
export function manifestDocument(text: string): Document {
  refuseDepth(text);
  const document = parseDocument(text, {
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !/:(?:int|float)$/.test(tag.tag)),
    // As the Director's parser and that of the BOSH CLI have it.
    merge: true,
    resolveKnownTags: false,
    stringKeys: true,
    // The parser compares each key with each other, which takes minutes where there are many.
    uniqueKeys: false,
    // Places are told, but nothing of the text.
    prettyErrors: false,
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error) {
    throw unreadable(`at character ${error.pos[0] + 1}: ${error.code}`, error);
  }
  refuseDuplicates(document);
  return document;
}

function refuseDuplicates(document: Document): void {
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        const name = isScalar(key) ? key.value : key;
        if (seen.has(name)) {
          throw new CloudError(`${MANIFEST_FILE}: ${String(name)} must be there only once`);
        }
        seen.add(name);
      }
    },
  });
}

/** The parser is recursive, and what is nested too deeply may abort the process. */
function refuseDepth(text: string): void {
  let flows = 0;
  let indicators = 0;
  let isLineStart = true;
  for (const token of new Lexer().lex(text)) {
    if (/^\r?\n$/.test(token)) {
      indicators = 0;
    } else if (token === '[' || token === '{') {
      flows += 1;
    } else if (token === ']' || token === '}') {
      flows -= 1;
    } else if (flows === 0 && (token === '-' || token === '?' || token === ':')) {
      indicators += 1;
    } else if (isLineStart && /^ +$/.test(token)) {
      indicators = token.length;
    }
    isLineStart = /\n$/.test(token);
    if (flows + indicators > MAX_LEVELS) {
      throw new CloudError(`${MANIFEST_FILE}: it is nested too deeply`);
    }
  }
}

function decoded(content: Buffer): string {
  if (content.length > MAX_MANIFEST_BYTES) {
    throw new CloudError(`${MANIFEST_FILE}: it must have at most ${MAX_MANIFEST_BYTES} bytes`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw unreadable('it is not UTF-8', cause);
  }
}

/** Plain JSON, without what could become a prototype. */
function fieldsOf(document: Document): Record<string, unknown> {
  const value = plainValue(document);
  if (!isRecord(value)) {
    throw new CloudError(`${MANIFEST_FILE}: an object with name, version and cloud_properties was expected`);
  }
  return value;
}

function plainValue(document: Document): unknown {
  try {
    let size = 0;
    const json = JSON.stringify(document.toJS(), (key, value) => {
      size += key.length + 1 + (typeof value === 'string' ? value.length : 0);
      if (size > MAX_SIZE) {
        throw new RangeError('too much');
      }
      return value;
    });
    return JSON.parse(json, (key, value) => (key === '__proto__' ? undefined : value));
  } catch (cause) {
    throw unreadable('its aliases refer to themselves, to nothing, or to too much', cause);
  }
}

function unreadable(reason: string, cause: unknown): CloudError {
  return new CloudError(`${MANIFEST_FILE}: it must be one YAML document (${reason})`, { cause });
}

function requiredText(manifest: Record<string, unknown>, field: string): string {
  const text = optionalText(manifest, field);
  if (text === undefined || text.trim() === '') {
    throw mustBe(field, 'a string that is not empty');
  }
  return text;
}

function optionalText(manifest: Record<string, unknown>, field: string): string | undefined {
  const value = manifest[field] ?? undefined;
  if (value !== undefined && typeof value !== 'string') {
    throw mustBe(field, 'a string');
  }
  return value;
}

function textsOf(manifest: Record<string, unknown>, field: string): string[] {
  const value = manifest[field] ?? [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
    throw mustBe(field, 'an array of strings');
  }
  return value;
}

function section(manifest: Record<string, unknown>, field: string): Record<string, unknown> {
  const value = manifest[field] ?? {};
  if (!isRecord(value)) {
    throw mustBe(field, 'an object');
  }
  return value;
}

function checkedProperties(properties: Record<string, unknown>): StemcellProperties {
  if (areStemcellProperties(properties)) {
    return properties;
  }
  const [wrong] = violations(schemas.create_stemcell, validators.create_stemcell, callWith(properties));
  const [, , ...keys] = wrong?.path ?? [];
  throw mustBe(['cloud_properties', ...keys].join('.'), wrong?.expected ?? 'an object');
}

/** Whether create_stemcell would take them. */
function areStemcellProperties(properties: unknown): properties is StemcellProperties {
  return validators.create_stemcell(callWith(properties));
}

function callWith(properties: unknown): object {
  return { arguments: ['image', properties, null] };
}

/** Of several, which BOSH separates by semicolons, the strongest. */
function digestOf(sha1: string | undefined): Digest | undefined {
  if (sha1 === undefined) {
    return undefined;
  }
  const digests = sha1.split(';').map(oneDigest);
  const [strongest] = digests.sort((a, b) => b.hex.length - a.hex.length);
  return strongest;
}

function oneDigest(text: string): Digest {
  const [, name = 'sha1', hex = ''] = /^\s*(?:(\w+):)?([0-9a-f]+)\s*$/i.exec(text) ?? [];
  if (!isAlgorithm(name) || hex.length !== DIGITS[name]) {
    throw mustBe('sha1', 'a SHA-1 in hexadecimal, or sha256: or sha512: and that hash');
  }
  return { algorithm: name, hex: hex.toLowerCase() };
}

function isAlgorithm(name: string): name is Digest['algorithm'] {
  return Object.hasOwn(DIGITS, name);
}

function mustBe(field: string, expected: string): CloudError {
  return new CloudError(`${MANIFEST_FILE}: ${field} must be ${expected}`);
}
