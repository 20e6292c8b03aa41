import { NotSupported } from '#lib/cpi/errors.ts';
import { withoutCloudProperties } from '#lib/cpi/network-echo.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Refused, so that the Director makes a new VM. */
export const handler = cpiFunction('configure_networks', ([, networks]) => {
  throw new NotSupported(
    `network configuration change requires VM recreation: ${JSON.stringify(withoutCloudProperties(networks))}`,
  );
});
