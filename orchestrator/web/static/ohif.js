// What OHIF reads before it starts: where it lives and what it may ask. It has no list of studies, no log-in,
// no way to send anything, and no address but those of this server.
window.PUBLIC_URL = "/viewer/";
window.browserImportFunction = (name) => import(name);
window.config = {
  name: "orchestrator",
  routerBasename: "/viewer",
  extensions: [],
  modes: [],
  customizationService: {
    // results are looked at here and judged on the result's page: what is drawn cannot be stored
    global: {
      "ohif.tours": { $set: [] },
      "panelSegmentation.disableEditing": { $set: true },
    },
  },
  showStudyList: false,
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  showErrorDetails: "production",
  investigationalUseDialog: { option: "always" },
  maxNumRequests: { interaction: 16, thumbnail: 4, prefetch: 8 },
  defaultDataSourceName: "archive",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "archive",
      configuration: {
        friendlyName: "The archive",
        name: "archive",
        qidoRoot: "/viewer/dicom-web",
        wadoRoot: "/viewer/dicom-web",
        qidoSupportsIncludeField: true,
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: false,
        supportsReject: false,
        dicomUploadEnabled: false,
        omitQuotationForMultipartRequest: true,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
