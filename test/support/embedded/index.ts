export {
  type EmbeddedCloud,
  type EmbeddedCloudOptions,
  type Leftover,
  startEmbeddedCloud,
} from './server.ts';
export type * from './state.ts';
export type { Mishaps, Quotas } from './world.ts';
