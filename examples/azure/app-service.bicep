// Azure App Service on Linux, with a user-assigned identity in place of a client secret. The keys and the address of Redis
// are secrets of a key vault that exists. `az deployment group create -g GROUP -f app-service.bicep`, and then deploy your
// project with the program in dist/server.js.

@description('Name of the app: the first label of its address, too, so nobody else in Azure may have it.')
param name string

@description('Application (client) ID of the app registration.')
param clientId string

@description('Name of a key vault with the secrets mcp-entra-keys (openssl rand -base64 32) and redis-url.')
param keyVaultName string

@minValue(1)
param instances int = 2

param location string = resourceGroup().location

// Key Vault Secrets User
var readSecrets = '4633458b-17de-408a-b874-0445c86b69e6'
var baseUrl = 'https://${name}.azurewebsites.net'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: keyVaultName
}

resource mayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, readSecrets)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', readSecrets)
  }
}

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: '${name}-plan'
  location: location
  kind: 'linux'
  sku: {
    name: 'P0v3'
    capacity: instances
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  kind: 'app,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  dependsOn: [
    mayReadSecrets
  ]
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identity.id
    siteConfig: {
      linuxFxVersion: 'NODE|24-lts'
      appCommandLine: 'node dist/server.js'
      alwaysOn: true
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      http20Enabled: true
      healthCheckPath: '/healthz'
      // PORT is set by the platform.
      appSettings: [
        {
          name: 'BASE_URL'
          value: baseUrl
        }
        {
          name: 'AZURE_TENANT_ID'
          value: tenant().tenantId
        }
        {
          name: 'AZURE_CLIENT_ID'
          value: clientId
        }
        {
          name: 'MANAGED_IDENTITY_CLIENT_ID'
          value: identity.properties.clientId
        }
        {
          name: 'MCP_ENTRA_KEYS'
          value: '@Microsoft.KeyVault(SecretUri=${vault.properties.vaultUri}secrets/mcp-entra-keys/)'
        }
        {
          name: 'REDIS_URL'
          value: '@Microsoft.KeyVault(SecretUri=${vault.properties.vaultUri}secrets/redis-url/)'
        }
      ]
    }
  }
}

@description('For the app registration, Authentication > Web > Redirect URIs.')
output redirectUri string = '${baseUrl}/auth/callback'

@description('For MCP clients.')
output mcpUrl string = '${baseUrl}/mcp'

@description('For the app registration, Certificates & secrets > Federated credentials: the issuer.')
output federatedIssuer string = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'

@description('The same: the subject. The audience is api://AzureADTokenExchange.')
output federatedSubject string = identity.properties.principalId
