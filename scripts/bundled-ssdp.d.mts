import type { Plugin } from 'esbuild';

export declare const bundledSsdp: Plugin;
