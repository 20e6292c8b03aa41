import type { Registry } from './client.ts';

/** For agents that get everything in their user data. */
export const noRegistry: Registry = {
  isUsed: false,
  read: async () => ({}),
  update: async () => {},
  delete: async () => {},
};
