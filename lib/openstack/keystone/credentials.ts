/** How to log in, and to which project. */
export type Credentials =
  | {
      kind: 'password';
      username: string;
      password: string;
      userDomain: string;
      project: { id: string } | { name: string; domain: string };
    }
  /** It carries its own project, so Keystone refuses a scope beside it. */
  | { kind: 'application_credential'; id: string; secret: string };

/** Body of `POST /v3/auth/tokens`. https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management */
export function loginBody(credentials: Credentials): object {
  if (credentials.kind === 'application_credential') {
    const { id, secret } = credentials;
    return {
      auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
    };
  }
  const { username, password, userDomain, project } = credentials;
  return {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: username, domain: { name: userDomain }, password } },
      },
      scope: {
        project:
          'id' in project ? { id: project.id } : { name: project.name, domain: { name: project.domain } },
      },
    },
  };
}

/** Who logs in, for messages. */
export function describeCredentials(credentials: Credentials): string {
  if (credentials.kind === 'application_credential') {
    return `application credential '${credentials.id}'`;
  }
  const { project } = credentials;
  return `user '${credentials.username}', project '${'id' in project ? project.id : project.name}'`;
}
