import { CloudError } from '../cpi/errors.ts';
import type { SecurityGroup } from '../openstack/neutron/security-groups.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import { isUuid } from '../openstack/uuid.ts';

/**
 * Finds the groups that names or ids stand for; a name wins over an id.
 * @returns ids without duplicates, in the order given
 * @throws {CloudError} for one that does not exist, or a name that several groups have
 */
export async function resolveSecurityGroups(
  given: readonly string[],
  { securityGroups, session }: OpenStack,
): Promise<string[]> {
  if (given.length === 0) {
    return [];
  }
  const ids = given.filter(isUuid);
  const [byName, byId, projectId] = await Promise.all([
    securityGroups.listByName(given),
    ids.length > 0 ? securityGroups.listById(ids) : [],
    session.projectId(),
  ]);
  const resolved = given.map((one) => {
    const named = byName.filter((group) => group.name === one);
    const group = named.length > 0 ? unambiguous(one, named, projectId) : byId.find(({ id }) => id === one);
    if (!group) {
      throw new CloudError(`Security group \`${one}' not found`);
    }
    return group.id;
  });
  return [...new Set(resolved)];
}

/** An administrator sees other projects' groups, too; the project's own are meant. */
function unambiguous(
  name: string,
  groups: SecurityGroup[],
  projectId: string | undefined,
): SecurityGroup | undefined {
  const own = groups.filter((group) => group.project_id === projectId);
  const candidates = own.length > 0 ? own : groups;
  if (candidates.length > 1) {
    const ids = candidates.map(({ id }) => id).join(', ');
    throw new CloudError(
      `Security group \`${name}' is ambiguous, ${candidates.length} groups have that name: ${ids}. ` +
        'Use the id of the group instead of its name.',
    );
  }
  return candidates[0];
}
