/** Makes dist/qinling/<method in kebab-case>.zip for each CPI method. */
import './build-validators.ts';
import { packageForQinling } from './qinling-packages.ts';

const FOLDER = 'dist/qinling';
const paths = await packageForQinling(FOLDER);
console.log(`${paths.length} packages in ${FOLDER}, entry main.main`);
