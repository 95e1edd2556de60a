/**
 * The editor's interface, imported here and nowhere else (but for types). In the bundle, which is CommonJS, every module
 * that imports it would make its own copy of its 450 properties: together most of the time that activation takes.
 */
export * as vscode from 'vscode';
