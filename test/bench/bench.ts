/** `npm run bench -- startup`, or `lifecycle`, on a real OpenStack or with `--embedded` on the embedded one. */
import { parseArgs } from 'node:util';
import { lifecycle } from './lifecycle.ts';
import { startup } from './startup.ts';

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
    default:
      throw new Error('Usage: npm run bench -- startup | lifecycle [--embedded]');
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
