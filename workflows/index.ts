/** Every workflow of the bundle. */
export { fineTuningJob } from './fine-tuning-job.js';
export { reconcile } from './reconcile.js';
export { sweepFiles } from './sweep-files.js';
