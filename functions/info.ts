import { info } from '#lib/cpi/info.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Tells what this CPI can do; needs neither cloud nor configuration. */
export const handler = cpiFunction('info', () => info);
