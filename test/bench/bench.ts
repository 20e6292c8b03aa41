/** `npm run bench -- startup`, `functions`, `concurrency`, `stemcell`, or `lifecycle`: on a real OpenStack, or with `--embedded`. */
import { parseArgs } from 'node:util';
import { concurrency } from './concurrency.ts';
import { functions } from './functions.ts';
import { lifecycle } from './lifecycle.ts';
import { startup } from './startup.ts';
import { stemcell } from './stemcell.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { embedded: { type: 'boolean', default: false } },
});
try {
  switch (positionals[0]) {
    case 'startup':
      await startup();
      break;
    case 'lifecycle':
      await lifecycle({ isEmbedded: values.embedded });
      break;
    case 'functions':
      await functions();
      break;
    case 'concurrency':
      await concurrency();
      break;
    case 'stemcell':
      await stemcell();
      break;
    default:
      throw new Error(
        'Usage: npm run bench -- startup | lifecycle [--embedded] | functions | concurrency | stemcell',
      );
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
