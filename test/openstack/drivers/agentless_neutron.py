"""Stands in for Neutron's agents: reports at once what they would report later."""
from neutron.objects.router import FloatingIP
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api

# A test that wants a port to fail binds it to a host with this prefix.
UNREACHABLE_HOSTS = 'host-fail'


class AgentlessDriver(api.MechanismDriver):
    connectivity = portbindings.CONNECTIVITY_L2

    def initialize(self):
        registry.subscribe(report_floating_ip, resources.FLOATING_IP, events.AFTER_CREATE)
        registry.subscribe(report_floating_ip, resources.FLOATING_IP, events.AFTER_UPDATE)

    def bind_port(self, context):
        """The L2 agent's part: a port that is put on a host is wired, and ACTIVE."""
        if not context.host.startswith(UNREACHABLE_HOSTS):
            details = {portbindings.CAP_PORT_FILTER: True, portbindings.VIF_DETAILS_CONNECTIVITY: self.connectivity}
            context.set_binding(context.segments_to_bind[0][api.ID], portbindings.VIF_TYPE_OVS, details,
                                status=constants.PORT_STATUS_ACTIVE)


def report_floating_ip(resource, event, trigger, payload):
    """The L3 agent's part: a floating IP is ACTIVE as long as it leads to a port.

    Uses the request's own session, since the deletion of a port holds a lock on the row meanwhile.
    """
    associated = payload.latest_state['port_id']
    status = constants.FLOATINGIP_STATUS_ACTIVE if associated else constants.FLOATINGIP_STATUS_DOWN
    FloatingIP.update_objects(payload.context.elevated(), {'status': status}, id=payload.resource_id)
