import { afterAll } from 'vitest';
import { describeContract } from './contract.ts';
import { startEmbeddedCloud } from './embedded/index.ts';

const cloud = await startEmbeddedCloud();

afterAll(() => cloud.close());

describeContract('the embedded cloud', () => Promise.resolve(cloud.description));
