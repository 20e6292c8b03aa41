import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { type Document, isMap, isScalar, isSeq, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { LIGHT_FORMAT, MANIFEST_FILE, manifestDocument, type StemcellManifest } from './manifest.ts';

export const IMAGE_FILE = 'image';
const SHA1_OF_NOTHING = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';
/** Where a gzip header says on which system it was made, and that it says nothing. */
const OS_OFFSET = 9;
const UNKNOWN_OS = 0xff;

/** A file of a stemcell that is small enough to be held in memory. */
export interface SmallFile {
  name: string;
  content: Buffer;
}

/**
 * Makes the light stemcell of an image that was uploaded: a gzip-compressed tar, of the same bytes whenever it is made.
 * @param manifest of the stemcell that the image came from
 * @param files what else that stemcell has, to be taken along
 */
export async function lightStemcell(
  manifest: StemcellManifest,
  imageId: string,
  files: readonly SmallFile[] = [],
): Promise<Buffer> {
  const tar = pack();
  const add = (name: string, content: Buffer | string) =>
    tar.entry(
      { name, mode: 0o644, uid: 0, gid: 0, uname: 'root', gname: 'root', mtime: new Date(0) },
      content,
    );
  add(MANIFEST_FILE, lightManifest(manifest, imageId));
  add(IMAGE_FILE, '');
  for (const { name, content } of files) {
    if (name !== MANIFEST_FILE && name !== IMAGE_FILE) {
      add(name, content);
    }
  }
  tar.finalize();
  const archive = gzipSync(await buffer(tar));
  archive.writeUInt8(UNKNOWN_OS, OS_OFFSET);
  return archive;
}

/** The manifest as it was written, with what makes it a light stemcell's. */
function lightManifest({ text, version, properties }: StemcellManifest, imageId: string): string {
  const document = manifestDocument(text);
  const top = document.contents;
  if (!isMap(top)) {
    throw new TypeError('a manifest that was read is an object');
  }
  setText(top, 'version', version);
  setText(top, 'sha1', SHA1_OF_NOTHING);
  setOnly(top, 'stemcell_formats', LIGHT_FORMAT);
  const cloudProperties = ownMap(document, top, 'cloud_properties', properties);
  if (cloudProperties.has('version')) {
    setText(cloudProperties, 'version', String(properties.version));
  }
  setText(cloudProperties, 'image_id', imageId);
  return document.toString({ lineWidth: 0 });
}

/** In quotes: readers of YAML take a version for a number otherwise. What was there is changed, since aliases may refer to it. */
function setText(map: YAMLMap, key: string, text: string): void {
  const existing = map.get(key, true);
  const scalar = isScalar(existing) ? existing : new Scalar(text);
  scalar.value = text;
  scalar.type = Scalar.QUOTE_DOUBLE;
  delete scalar.tag;
  if (scalar !== existing) {
    map.set(key, scalar);
  }
}

function setOnly(map: YAMLMap, key: string, text: string): void {
  const existing = map.get(key, true);
  if (isSeq(existing)) {
    existing.items = [new Scalar(text)];
  } else {
    const list = new YAMLSeq();
    list.add(new Scalar(text));
    map.set(key, list);
  }
}

/** One that can be changed: it may be an alias, or come from a merged key, or not be there. */
function ownMap(document: Document, top: YAMLMap, key: string, value: object): YAMLMap {
  const existing = top.get(key, true);
  if (isMap(existing)) {
    return existing;
  }
  const made = document.createNode(value);
  top.set(key, made);
  return isMap(made) ? made : new YAMLMap();
}
