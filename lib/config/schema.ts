import Type, { type Static, type TSchema } from 'typebox';

const url = () => Type.Optional(Type.String({ description: 'a URL' }));
const string = () => Type.Optional(Type.String({ description: 'a string' }));
const strings = () =>
  Type.Optional(Type.Array(Type.String({ description: 'a string' }), { description: 'an array of strings' }));
const boolean = () => Type.Optional(Type.Boolean({ description: 'true or false' }));
const seconds = (minimum = 0) => Type.Optional(Type.Number({ description: 'a number of seconds', minimum }));
const secondsOrText = () =>
  Type.Optional(
    Type.Union([Type.Number({ minimum: 0 }), Type.String({ pattern: '^\\d+(\\.\\d+)?$' })], {
      description: 'a number of seconds',
    }),
  );
const open = <T extends Record<string, TSchema>>(properties: T) =>
  Type.Optional(Type.Object(properties, { description: 'an object', additionalProperties: Type.Unknown() }));
const oneOf = <const T extends string[]>(...values: T) => {
  const names = values.map((value) => `'${value}'`).join(', ');
  const description = names.replace(/, ([^,]+)$/, ' or $1');
  return Type.Optional(Type.Unsafe<T[number]>({ enum: values, description }));
};

/** Where stemcells lie that are not on the Director's disk. */
const stemcells = () =>
  open({
    bucket: string(),
    prefix: string(),
    endpoint: url(),
    region: string(),
    path_style: boolean(),
    ca_cert: string(),
    access_key_id: string(),
    secret_access_key: string(),
  });

/** What a function reads of `cloud.properties`, after keys with null values were dropped. Other keys are ignored. */
export const configurationSchema = Type.Object({
  openstack: Type.Object(
    {
      auth_url: url(),
      allowed_auth_urls: strings(),
      username: string(),
      api_key: string(),
      application_credential_id: string(),
      application_credential_secret: string(),
      project: string(),
      project_id: string(),
      domain: string(),
      user_domain_name: string(),
      project_domain_name: string(),
      tenant: string(),
      region: string(),
      endpoint_type: oneOf('publicURL', 'internalURL', 'adminURL', 'public', 'internal', 'admin'),
      state_timeout: secondsOrText(),
      wait_resource_poll_interval: secondsOrText(),
      connection_options: open({
        ca_cert: string(),
        ssl_ca_file: string(),
        ssl_verify_peer: boolean(),
        connect_timeout: seconds(0.001),
        read_timeout: seconds(0.001),
        write_timeout: seconds(0.001),
        proxy: url(),
      }),
      default_key_name: string(),
      default_security_groups: strings(),
      default_volume_type: string(),
      boot_from_volume: boolean(),
      config_drive: oneOf('disk', 'cdrom'),
      use_dhcp: boolean(),
      ignore_server_availability_zone: boolean(),
      human_readable_vm_names: boolean(),
      stemcell_public_visibility: boolean(),
      use_nova_networking: boolean(),
      max_disk_size: Type.Optional(Type.Integer({ description: 'an integer (MiB)', minimum: 1 })),
      retype_migration_policy: oneOf('never', 'on-demand'),
    },
    { description: 'an object', additionalProperties: Type.Unknown() },
  ),
  registry: open({ endpoint: string(), user: string(), password: string() }),
  agent: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'an object' })),
  retry_config: open({
    default: open({
      max_attempts: Type.Optional(Type.Integer({ description: 'an integer from 0', minimum: 0 })),
      sleep_duration: seconds(),
    }),
  }),
  stemcells: stemcells(),
});

export type ConfigurationSections = Static<typeof configurationSchema>;
export type StemcellSection = NonNullable<ConfigurationSections['stemcells']>;

const byMethod = () =>
  Type.Optional(
    Type.Record(Type.String(), Type.String({ description: 'a string', minLength: 1 }), {
      description: 'an object with a string for each method',
    }),
  );

const awsCredentials = () => ({
  access_key_id: string(),
  secret_access_key: string(),
  session_token: string(),
  profile: string(),
  role_arn: string(),
});

/** What the binary reads of `cloud.properties` for itself: where functions run, and how to reach their bucket. */
export const invokerSchema = Type.Object({
  invoker: open({
    target: oneOf('local', 'lambda', 'http', 'qinling'),
    lap_seconds: Type.Optional(
      Type.Number({ description: 'a number of seconds above 0', exclusiveMinimum: 0 }),
    ),
    lambda: open({
      region: string(),
      endpoint: url(),
      prefix: string(),
      qualifier: string(),
      ...awsCredentials(),
      ca_cert: string(),
      proxy: url(),
    }),
    http: open({
      url: url(),
      urls: byMethod(),
      token: string(),
      sigv4: open({ region: string(), service: string(), ...awsCredentials() }),
      ca_cert: string(),
      proxy: url(),
    }),
    qinling: open({ functions: byMethod(), endpoint: url() }),
  }),
  stemcells: stemcells(),
});

export type InvokerSections = Static<typeof invokerSchema>;
