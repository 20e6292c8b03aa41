"""Octavia's network without amphorae: the only thing real is the VIP's port, which must go with its load balancer."""
from octavia.network.drivers.neutron.allowed_address_pairs import AllowedAddressPairsDriver
from octavia.network.drivers.noop_driver.driver import NoopNetworkDriver


class VipPortDriver(NoopNetworkDriver):
    def __init__(self):
        super().__init__()
        neutron = AllowedAddressPairsDriver()
        self.update_vip_sg = neutron.update_vip_sg
        self.deallocate_vip = neutron.deallocate_vip
