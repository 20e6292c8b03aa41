/**
 * Plays a BOSH Director with dist/cpi and an embedded OpenStack: the life of a VM and its disk, call by call. With
 * `--target lambda`, functions run in processes of their own behind Lambda's API, and only they can log in to OpenStack.
 */
import { deepStrictEqual } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { parseArgs, styleText } from 'node:util';
import { stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { openstackProperties, startCpi } from '../support/cpi.ts';
import { startEmbeddedCloud } from '../support/embedded/index.ts';
import { startFaultInjector } from '../support/fault-injector.ts';
import {
  bundleFunctions,
  deployedAlike,
  ExecutionEnvironments,
  startLambdaInvokeServer,
} from '../support/lambda-invoke-server.ts';
import { startObjectStore } from '../support/object-store.ts';

const SETTLE_MS = 150;
const ROOT_IMAGE_MIB = 4;

const { target } = parseArgs({ options: { target: { type: 'string', default: 'local' } } }).values;
if (target !== 'local' && target !== 'lambda') {
  throw new Error('Usage: npm run demo -- [--target local | lambda]');
}
const archive = await stemcellArchive({ 'root.img': randomBytes(ROOT_IMAGE_MIB * 1024 * 1024) });
const embedded = await startEmbeddedCloud({ settleMs: SETTLE_MS });
const { description: cloud } = embedded;
const injector = await startFaultInjector({ authUrl: cloud.auth_url });
const login = { openstack: openstackProperties(cloud, injector.authUrl) };
const lambda = target === 'lambda' ? await startLambda(login) : undefined;
const cpi = await startCpi({
  run: 'process',
  properties: {
    ...(lambda ? { invoker: lambda.invoker } : login),
    agent: { mbus: 'nats://nats:not-used@10.0.0.6:4222' },
  },
  secrets: () => embedded.secrets,
});
const started = performance.now();
const failures: string[] = [];
let calls = 0;

async function startLambda(properties: object) {
  const bundles = await bundleFunctions();
  const environments = new ExecutionEnvironments(bundles);
  const store = await startObjectStore();
  const CPI_CONFIG = JSON.stringify({
    cloud: { properties: { ...properties, stemcells: store.properties } },
  });
  const server = await startLambdaInvokeServer(
    environments,
    deployedAlike(bundles, { environment: { CPI_CONFIG } }),
  );
  return {
    url: server.url,
    bucket: store.bucket,
    bucketUrl: store.description.endpoint,
    invocations: server.invocations,
    invoker: {
      target: 'lambda',
      lambda: {
        region: 'eu-central-1',
        endpoint: server.url,
        access_key_id: 'any',
        secret_access_key: 'any',
      },
    },
    close: async () => {
      await server.close();
      await environments.close();
      await store.close();
      await bundles.remove();
    },
  };
}

/**
 * One call, one line.
 * @param check says what the result, or the cloud after it, shows; throws when that is wrong
 * @returns the result
 */
// biome-ignore lint/suspicious/noExplicitAny: each method has its own result.
async function call(method: string, args: unknown[], check: (result: any) => string): Promise<any> {
  calls += 1;
  const requestsBefore = injector.requests.length;
  const start = performance.now();
  const { result, error } = await cpi.call(method, args, { apiVersion: method === 'info' ? 1 : 2 });
  const time = `${Math.round(performance.now() - start)} ms`;
  const requests = injector.requests.length - requestsBefore;
  const { isGood, text } = judged(() => (error ? fail(`${error.type}: ${error.message}`) : check(result)));
  if (!isGood) {
    failures.push(method);
  }
  const line = `  ${method.padEnd(18)}${time.padStart(8)}${String(requests).padStart(10)}  `;
  console.log(line + (isGood ? text : coloured('red', `FAILED ${text}`)));
  return result;
}

function fail(text: string): never {
  throw new Error(text);
}

function judged(check: () => string): { isGood: boolean; text: string } {
  try {
    return { isGood: true, text: check() };
  } catch (error) {
    return { isGood: false, text: error instanceof Error ? error.message : String(error) };
  }
}

/** @returns `text`, when the result is what it has to be */
function when(expected: unknown, text: string): (result: unknown) => string {
  return (result) => {
    deepStrictEqual(result, expected, `answered ${JSON.stringify(result)}`);
    return text;
  };
}

function coloured(colour: 'red' | 'green' | 'bold' | 'dim', text: string): string {
  return process.stdout.isTTY ? styleText(colour, text) : text;
}

async function life(): Promise<void> {
  await call(
    'info',
    [],
    ({ api_version, stemcell_formats }) => `API version ${api_version}, ${stemcell_formats.join(', ')}`,
  );
  const stemcell = await call('create_stemcell', [archive.path, stemcellProperties], (id) => {
    const image = embedded.images.get(id);
    return image?.status === 'active' ? `image ${id}, ${image.size} bytes` : fail('the image is not active');
  });
  const address = '10.10.0.50';
  const [vm] =
    (await call(
      'create_vm',
      [
        'c1b2e3a4-0000-4000-8000-0000000000aa',
        stemcell,
        { instance_type: 'm1.small', loadbalancer_pools: [{ name: 'pool-a', port: 80 }] },
        {
          private: {
            type: 'manual',
            ip: address,
            netmask: '255.255.255.0',
            gateway: cloud.networks['net-a'].gateway,
            dns: ['10.10.0.2'],
            default: ['dns', 'gateway'],
            cloud_properties: { net_id: cloud.networks['net-a'].id },
          },
          public: { type: 'vip', ip: cloud.floating_ip.address },
        },
        [],
        { bosh: { group: 'demo', tags: { deployment: 'demo' } } },
      ],
      ([id]) => {
        const server = embedded.servers.get(id);
        const floatingIp = embedded.floatingIps.get(cloud.floating_ip.id);
        const port = embedded.ports.get(floatingIp?.port_id ?? '');
        const members = [...embedded.members.values()].map((member) => member.address);
        deepStrictEqual(server?.status, 'ACTIVE', 'the server is not active');
        deepStrictEqual(port?.device_id, id, 'the floating IP is not at the server');
        deepStrictEqual(members, [address], 'the server is not in the pool');
        return `server ${id}, ${address}, floating IP ${floatingIp?.floating_ip_address}, in pool-a`;
      },
    )) ?? [];
  await call('has_vm', [vm], when(true, 'yes'));
  await call('set_vm_metadata', [vm, { deployment: 'demo', job: 'web', index: 0 }], () => {
    const metadata = embedded.servers.get(vm)?.metadata;
    return metadata?.job === 'web' ? 'deployment, job, index' : fail('the metadata is not there');
  });
  const disk = await call('create_disk', [2048, { type: 'fast' }, vm], (id) => {
    const volume = embedded.volumes.get(id);
    return volume?.status === 'available' ? `volume ${id}, ${volume.size} GiB` : fail('not available');
  });
  await call('attach_disk', [vm, disk], (device) =>
    embedded.volumes.get(disk)?.status === 'in-use' ? `device ${device}` : fail('not in use'),
  );
  await call('get_disks', [vm], when([disk], 'the volume'));
  const snapshot = await call(
    'snapshot_disk',
    [disk, { deployment: 'demo', job: 'web', index: 0, director_name: 'demo', instance_id: 'i-1' }],
    (id) => (embedded.snapshots.get(id)?.status === 'available' ? `snapshot ${id}` : fail('not available')),
  );
  await call('delete_snapshot', [snapshot], when(null, 'gone'));
  await call('detach_disk', [vm, disk], when(null, 'detached'));
  await call('resize_disk', [disk, 4096], () => {
    const size = embedded.volumes.get(disk)?.size;
    return size === 4 ? '4 GiB' : fail(`the volume has ${size} GiB`);
  });
  await call('set_disk_metadata', [disk, { deployment: 'demo', instance_index: 0 }], () =>
    embedded.volumes.get(disk)?.metadata.deployment === 'demo'
      ? 'deployment, instance_index'
      : fail('not there'),
  );
  await call('reboot_vm', [vm], when(null, 'active again'));
  await call('delete_disk', [disk], when(null, 'gone'));
  await call('delete_vm', [vm], when(null, 'gone, with its port and pool membership'));
  await call('delete_stemcell', [stemcell], when(null, 'gone'));
}

console.log(coloured('bold', 'BOSH OpenStack CPI: the life of a VM and its disk'));
console.log(`
An embedded OpenStack listens at ${cloud.auth_url}; whatever it is asked to change takes ${SETTLE_MS} ms.
${
  lambda
    ? `Lambda's API listens at ${lambda.url}; each function has a process of its own, and the login to OpenStack.
Stemcells go through a bucket at ${lambda.bucketUrl}.\n`
    : ''
}\
Each line is one call of dist/cpi as a BOSH Director makes it: a process of its own, JSON in, JSON out.
`);
console.log(coloured('dim', `  ${'call'.padEnd(18)}${'time'.padStart(8)}${'requests'.padStart(10)}  result`));
try {
  await life();
} finally {
  await cpi.close();
  await lambda?.close();
  await injector.close();
  await embedded.close();
  await archive.remove();
}
const staged = lambda?.bucket.keys() ?? [];
const leftovers = [...embedded.leftovers(), ...staged.map((key) => ({ kind: 'object', id: key, name: '' }))];
console.log(`
Left in the cloud: ${leftovers.length === 0 ? 'nothing' : ''}`);
for (const { kind, id, name } of leftovers) {
  console.log(coloured('red', `  ${kind} ${id} ${name}`));
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
const isGood = failures.length === 0 && leftovers.length === 0;
const verdict = isGood
  ? coloured('green', 'all as expected')
  : coloured('red', `failed: ${failures.join(', ')}`);
console.log(`${calls} calls, ${injector.requests.length} requests to OpenStack${
  lambda ? `, ${lambda.invocations.length} invocations` : ''
}, ${seconds} s: ${verdict}

Next: tell the CPI about your own OpenStack, as README.md says under "Pointing BOSH at it".`);
process.exitCode = isGood ? 0 : 1;
