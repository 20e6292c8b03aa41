import { afterAll } from 'vitest';
import { describeObjectStoreContract } from './contract/object-store.ts';
import { startObjectStore } from './object-store.ts';

const server = await startObjectStore();

afterAll(() => server.close());

describeObjectStoreContract('the object store of tests', server.description);
