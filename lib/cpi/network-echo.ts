import { isRecord } from '../json.ts';

/** Networks as they may be repeated in a message: the values of their cloud properties are the operator's own business. */
export function withoutCloudProperties(networks: unknown): unknown {
  if (!isRecord(networks)) {
    return '<redacted>';
  }
  return mapValues(networks, (network) =>
    isRecord(network) && isRecord(network.cloud_properties)
      ? { ...network, cloud_properties: mapValues(network.cloud_properties, () => '<redacted>') }
      : network,
  );
}

function mapValues(
  record: Record<string, unknown>,
  map: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
