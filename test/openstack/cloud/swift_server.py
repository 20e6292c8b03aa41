"""swift_server.py FOLDER CONFIG SERVER: one of Swift's servers, with swift.conf and rings from FOLDER, not /etc."""
import sys

from swift.common import utils, wsgi

folder, config, server = sys.argv[1:]
utils.set_swift_dir(folder)
sys.exit(wsgi.run_wsgi(config, server))
