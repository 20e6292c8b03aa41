"""Nova's fake hypervisor, made to look like KVM and to know its servers again after a restart."""
import os

from nova.cmd import compute  # first: it replaces blocking calls in what is imported after it
from nova import context, objects, virt
from nova.compute import power_state
from nova.objects.fields import Architecture, HVType, VMMode
from nova.virt import fake


class Driver(fake.FakeDriver):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.host_status_base |= {
            'hypervisor_type': 'QEMU',
            # what the image properties of a stemcell are matched with
            'supported_instances': [(Architecture.X86_64, kind, VMMode.HVM) for kind in (HVType.KVM, HVType.QEMU)],
        }

    def init_host(self, host):
        super().init_host(host)
        known = objects.InstanceList.get_by_host(
            context.get_admin_context(), host, expected_attrs=['info_cache', 'flavor'])
        for instance in known:
            running = instance.power_state in (None, power_state.NOSTATE, power_state.RUNNING)
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, power_state.RUNNING if running else instance.power_state, instance.uuid)
            self.resources.claim(instance.flavor.vcpus, instance.flavor.memory_mb, instance.flavor.root_gb)
            self._interfaces |= {vif['id']: vif for vif in instance.get_network_info()}


def main():
    """nova-compute, which looks for its driver nowhere but in nova.virt."""
    virt.__path__.append(os.path.dirname(__file__))
    return compute.main()
