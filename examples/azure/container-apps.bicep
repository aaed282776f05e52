// Azure Container Apps: replicas of an image, with a user-assigned identity in place of a client secret. The keys and the
// address of Redis are secrets of a key vault that exists. `az deployment group create -g GROUP -f container-apps.bicep`

@description('Name of the app: the first label of its address, too.')
param name string = 'notes-mcp'

@description('Image in the registry below, such as notes-mcp:1.0.0')
param image string

@description('Name of the container registry that the image is pulled from.')
param registryName string

@description('Application (client) ID of the app registration.')
param clientId string

@description('Name of a key vault with the secrets mcp-entra-keys (openssl rand -base64 32) and redis-url.')
param keyVaultName string

param location string = resourceGroup().location

var port = 3000
var roles = {
  // Key Vault Secrets User and AcrPull
  readSecrets: '4633458b-17de-408a-b874-0445c86b69e6'
  pullImages: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
}
// The keys are the same for all replicas, and so is the address that clients use: it is the issuer of the tokens.
var baseUrl = 'https://${name}.${managedEnvironment.properties.defaultDomain}'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: keyVaultName
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource mayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, roles.readSecrets)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.readSecrets)
  }
}

resource mayPullImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, identity.id, roles.pullImages)
  scope: registry
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.pullImages)
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource managedEnvironment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-environment'
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  dependsOn: [
    mayReadSecrets
    mayPullImages
  ]
  properties: {
    managedEnvironmentId: managedEnvironment.id
    configuration: {
      ingress: {
        external: true
        targetPort: port
        transport: 'http'
        allowInsecure: false
      }
      registries: [
        {
          server: registry.properties.loginServer
          identity: identity.id
        }
      ]
      secrets: [
        {
          name: 'keys'
          keyVaultUrl: '${vault.properties.vaultUri}secrets/mcp-entra-keys'
          identity: identity.id
        }
        {
          name: 'redis-url'
          keyVaultUrl: '${vault.properties.vaultUri}secrets/redis-url'
          identity: identity.id
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'server'
          image: '${registry.properties.loginServer}/${image}'
          env: [
            {
              name: 'PORT'
              value: string(port)
            }
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
              secretRef: 'keys'
            }
            {
              name: 'REDIS_URL'
              secretRef: 'redis-url'
            }
          ]
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: port
              }
            }
            {
              type: 'Readiness'
              periodSeconds: 2
              failureThreshold: 1
              httpGet: {
                path: '/readyz'
                port: port
              }
            }
          ]
        }
      ]
      scale: {
        minReplicas: 2
        maxReplicas: 10
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '50'
              }
            }
          }
        ]
      }
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
