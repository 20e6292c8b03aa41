import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { dropZone } from '../functions/dropped-stemcells.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';
import { codeOf, sourcesWith, tableBelow } from './tables.ts';

const page = await readFile('docs/stemcells.md', 'utf8');
/** Of uploads that take longer than that of a test. */
const WHILE_UPLOADING = ['percent', 'uploaded_bytes', 'total_bytes', 'bytes_per_second'];
const GLANCES_OWN = ['Request Entity Too Large', 'quota'];

describe('the status of a dropped stemcell', () => {
  const getZone = dropZone();

  it('has the fields that the page describes, and no other', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(imageData()));
    await zone.outcomes();
    const active = zone.status();
    zone.store.bucket.put(zone.key, Buffer.from('no stemcell'));
    await zone.outcomes();
    const failed = zone.status();

    const described = tableBelow('Status', page).flatMap(([fields]) => codeOf(fields));

    const told = new Set([active, failed].flatMap((status) => Object.keys(Object(status))));
    expect(described.sort()).toEqual([...told, ...WHILE_UPLOADING].sort());
  });
});

describe('the messages of stemcells', () => {
  const messages = tableBelow('When it does not work', page)
    .flatMap(([cell]) => codeOf(cell))
    .filter((message) => !GLANCES_OWN.includes(message));

  it.each(messages)('are in the code: %s', async (message) => {
    const parts = await Promise.all(message.split('…').map(sourcesWith));

    expect(parts.filter((sources) => sources.length === 0)).toEqual([]);
  });
});
