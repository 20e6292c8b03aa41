"""Volumes as sparse files: what is written from an image or a snapshot is really there, but nothing is exported."""
import os
import subprocess

from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver, volume_utils
from oslo_config import cfg

BYTES_PER_GIB = 1 << 30
OPTIONS = [cfg.StrOpt('sparse_files_folder', help='Folder that holds one file for each volume and snapshot')]


@interface.volumedriver
class SparseFileDriver(driver.CloneableImageVD, driver.BaseVD):
    VERSION = '1'
    CI_WIKI_NAME = 'none'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    @staticmethod
    def get_driver_options():
        return OPTIONS

    def do_setup(self, context):
        os.makedirs(self.configuration.sparse_files_folder, exist_ok=True)

    def check_for_setup_error(self):
        pass

    def local_path(self, volume_or_snapshot):
        return os.path.join(self.configuration.sparse_files_folder, volume_or_snapshot.name)

    def create_volume(self, volume):
        open(self.local_path(volume), 'wb').close()
        self.extend_volume(volume, volume.size)

    def extend_volume(self, volume, new_size):
        os.truncate(self.local_path(volume), new_size * BYTES_PER_GIB)

    def delete_volume(self, volume):
        try:
            os.remove(self.local_path(volume))
        except FileNotFoundError:
            pass

    delete_snapshot = delete_volume

    def create_snapshot(self, snapshot):
        self._duplicate(snapshot.volume, snapshot)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._duplicate(snapshot, volume)
        self.extend_volume(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._duplicate(src_vref, volume)
        self.extend_volume(volume, volume.size)

    def _duplicate(self, source, target):
        subprocess.run(['cp', '--sparse=always', self.local_path(source), self.local_path(target)], check=True)

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return None, False

    def copy_image_to_volume(self, context, volume, image_service, image_id):
        image_utils.fetch_to_raw(context, image_service, image_id, self.local_path(volume),
                                 self.configuration.volume_dd_blocksize, size=volume.size)
        self.extend_volume(volume, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self.local_path(volume), volume)

    def retype(self, context, volume, new_type, diff, host):
        return True

    def migrate_volume(self, context, volume, host):
        return True, None

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': 'local', 'data': {'device_path': self.local_path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def _update_volume_stats(self):
        self._stats = {
            'volume_backend_name': self.configuration.volume_backend_name,
            'vendor_name': 'none',
            'driver_version': self.VERSION,
            'storage_protocol': 'file',
            'total_capacity_gb': 'infinite',
            'free_capacity_gb': 'infinite',
            'thin_provisioning_support': True,
            'multiattach': True,
        }
